"""Who asks, when it is a server: its signature over the request (§Request Authentication)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from protocol.errors import BadSignature, InvalidId
from protocol.ids import ServerName, parse_server_name
from protocol.json import JsonObject
from protocol.matrix_error import Forbidden, LimitExceeded, NotJson, Unauthorized
from protocol.signing import VerifyKey, verify_json
from services.ports import VerifyKeys
from services.requester import Peer
from services.tenant import Tenant
from web.call import Call

MAX_HEADERS: Final = 10
MAX_HEADER: Final = 4096
STRANGERS_PER_SECOND: Final = 20.0
STRANGERS_AT_ONCE: Final = 200
"""Requests with keys that must be fetched first, from one address."""

_SCHEME = re.compile(r"x-matrix +", re.IGNORECASE)
# «name=value», where the value is a token or a quoted string. Colons in bare values: §Request Authentication,
# «for compatibility with older servers».
_PARAMETER = re.compile(
    r"""[ \t]*([!#$%&'*+.^_`|~0-9A-Za-z-]+)[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*))[ \t]*(?:,|$)"""
)
_ESCAPED = re.compile(r"\\(.)")


@dataclass(frozen=True, slots=True)
class Claim:
    """One X-Matrix header."""

    origin: ServerName
    destination: str | None
    key: str
    signature: str


async def authenticate(call: Call[Tenant, Any]) -> Peer:
    """The server that signed the request; raises Unauthorized, or Forbidden when this server talks to no other."""
    tenant = call.tenant
    if not tenant.settings.federation.enabled:
        raise Forbidden("Federation is disabled here")
    claims = _claims(call.headers.getall("Authorization", ()))
    origin = claims[0].origin
    if any(claim.origin != origin for claim in claims):
        raise Unauthorized("The request claims to be of several servers")
    if origin == tenant.name:
        raise Unauthorized("The request claims to be of this very server")
    # «destination»: servers before v1.3 do not send it.
    if any(claim.destination not in (None, tenant.name) for claim in claims):
        raise Unauthorized("The request is for another server")
    signed = _signed(call, origin, claims)
    keys = await _current_keys(call, origin, [claim.key for claim in claims])
    try:
        verify_json(signed, origin, keys)
    except BadSignature as error:
        raise Unauthorized(f"Invalid signature: {error}") from None
    tenant.heard.note(origin)
    return Peer(origin)


async def _current_keys(
    call: Call[Tenant, Any], origin: ServerName, names: Iterable[str]
) -> dict[str, VerifyKey]:
    """Those of the keys that are good now; strangers may make us ask for theirs only so often."""
    tenant, now = call.tenant, call.tenant.clock.now()
    wanted = {origin: dict.fromkeys(names, now)}
    keys = _good(await tenant.remotes.verify_keys(wanted, may_fetch=False), origin, now)
    if keys:
        return keys
    if tenant.settings.rate_limits.enabled:
        where = f"x-matrix:{call.remote}"
        wait = await tenant.limits.take(where, STRANGERS_PER_SECOND, STRANGERS_AT_ONCE, now)
        if wait:
            raise LimitExceeded(wait)
    return _good(await tenant.remotes.verify_keys(wanted), origin, now)


def _good(keys: VerifyKeys, origin: ServerName, now: int) -> dict[str, VerifyKey]:
    # Old keys are good for events only; they have expired before now.
    return {
        name: key
        for name, key in keys.get(origin, {}).items()
        if key.valid_until is None or key.valid_until >= now
    }


def _signed(call: Call[Tenant, Any], origin: ServerName, claims: Iterable[Claim]) -> JsonObject:
    """The object that was signed, with the signatures of the headers."""
    signed: JsonObject = {"method": call.method, "uri": call.target, "origin": origin}
    if all(claim.destination is not None for claim in claims):
        signed["destination"] = call.tenant.name
    if call.body:
        try:
            signed["content"] = call.json()
        except NotJson:
            raise NotJson("The body is not JSON, so that its signature cannot be checked") from None
    signed["signatures"] = {origin: {claim.key: claim.signature for claim in claims}}
    return signed


def _claims(headers: Iterable[str]) -> list[Claim]:
    claims = [claim for header in list(headers)[:MAX_HEADERS] if (claim := read_header(header)) is not None]
    if not claims:
        raise Unauthorized("Missing X-Matrix Authorization header")
    return claims


def read_header(header: str) -> Claim | None:
    """What the header says; None when it is of another scheme. Raises Unauthorized for a broken one."""
    scheme = _SCHEME.match(header)
    if scheme is None:
        return None
    parameters = _parameters(header[scheme.end() :]) if len(header) <= MAX_HEADER else None
    if parameters is None:
        raise Unauthorized("The Authorization header is malformed")
    try:
        return Claim(
            parse_server_name(parameters["origin"]),
            parameters.get("destination"),
            parameters["key"],
            parameters["sig"],
        )
    except (KeyError, InvalidId):
        raise Unauthorized("The Authorization header is incomplete") from None


def _parameters(text: str) -> dict[str, str] | None:
    found: dict[str, str] = {}
    at, text = 0, text.strip(" \t")
    while at < len(text):
        match = _PARAMETER.match(text, at)
        if match is None:
            return None
        name, quoted, bare = match.groups()
        value = _ESCAPED.sub(r"\1", quoted) if quoted is not None else bare
        if name.lower() in found:
            return None
        found[name.lower()] = value
        at = match.end()
    return found
