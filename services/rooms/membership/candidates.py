"""Asking one server after another for the same thing, and what the client is told when none of them does it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from protocol.errors import InvalidId
from protocol.ids import ServerName, parse_server_name
from protocol.matrix_error import Forbidden, MatrixError, NotFound, Unknown
from services.ports import RemoteFailed
from services.tenant import Tenant

T = TypeVar("T")

MAX_CANDIDATES = 20
MAX_MESSAGE = 500
PATIENCE = 90.0  # seconds after which no further server is asked
ENOUGH_REFUSALS = 2  # one server may not have heard yet of what lets the user in

_FORBIDDEN, _NOT_FOUND = 403, 404
# A 403 with any other code is told as M_FORBIDDEN: a server of others does not choose what our clients do.
_CODES_OF_403 = frozenset(("M_FORBIDDEN", "M_INVITE_BLOCKED"))
_FINAL = frozenset(("M_INCOMPATIBLE_ROOM_VERSION",))
# «M_UNABLE_TO_AUTHORISE_JOIN», «M_UNABLE_TO_GRANT_JOIN»: another server may be able to.
_NOT_FINAL = frozenset(("M_UNABLE_TO_AUTHORISE_JOIN", "M_UNABLE_TO_GRANT_JOIN"))


def candidates(tenant: Tenant, *named: Iterable[str]) -> list[ServerName]:
    """The servers named, each once, in order, without ourselves and without what is no server name."""
    found: dict[ServerName, None] = {}
    for name in (name for names in named for name in names):
        try:
            found[parse_server_name(name)] = None
        except InvalidId:
            continue
    found.pop(tenant.name, None)
    return list(found)[:MAX_CANDIDATES]


async def first_answer(servers: Iterable[ServerName], ask: Callable[[ServerName], Awaitable[T]]) -> T:
    """What the first server answers that does not fail. Raises what the client is to be told when all have failed, or some
    have refused so that the others need not be asked: the most telling of their reasons.
    """
    failures: list[RemoteFailed] = []
    refusals = 0
    began = asyncio.get_running_loop().time()
    for server in servers:
        if failures and asyncio.get_running_loop().time() - began > PATIENCE:
            break
        try:
            return await ask(server)
        except RemoteFailed as failed:
            failures.append(failed)
            refusals += failed.status == _FORBIDDEN
            if refusals == ENOUGH_REFUSALS or failed.errcode in _FINAL:
                break
    if not failures:
        raise NotFound("No server is known that is in this room")
    raise as_told(min(failures, key=_how_little_it_says))


def _how_little_it_says(failed: RemoteFailed) -> int:
    if failed.errcode in _FINAL or failed.status == _FORBIDDEN:
        return 0
    if failed.errcode in _NOT_FINAL:
        return 1
    return 2 if failed.status == _NOT_FOUND else 3


def as_told(failed: RemoteFailed) -> MatrixError:
    """What the client is told of another server's failure. «If M_MISSING_PARAM or M_INVALID_PARAM is returned and the
    request is associated with a Client-Server API request, the Client-Server API request SHOULD fail with a 5xx error
    rather than being passed through.»
    """
    message = f"{failed.server}: {failed.message[:MAX_MESSAGE]}"
    if failed.status == _FORBIDDEN:
        return Forbidden(message, errcode=failed.errcode if failed.errcode in _CODES_OF_403 else None)
    if failed.errcode in _FINAL | _NOT_FINAL:
        version = failed.body.get("room_version")
        extra = {"room_version": version} if isinstance(version, str) else {}
        return Unknown(message, errcode=failed.errcode, extra=extra)
    if failed.status == _NOT_FOUND:
        return NotFound(message)
    return Unknown(message, status=502)
