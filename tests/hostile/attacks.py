"""Requests that are wrong in one thing, and what may be said to them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from tests.fixtures.client import Answer
from tests.hostile.operations import Operation
from tests.hostile.valid import valid_request
from tests.hostile.world import Place, Request, World, make_world
from web.endpoint import Auth

WRONG_JSON = frozenset({"M_BAD_JSON", "M_INVALID_PARAM", "M_MISSING_PARAM", "M_INVALID_ROOM_STATE"})


@dataclass(frozen=True)
class Attack:
    """A request that was spoilt; `status` and `errcodes` are what may be answered.

    Where `served` is set, the server may also find nothing wrong; and with no `errcodes` it may refuse as it likes.
    """

    label: str
    request: Request
    status: frozenset[int] = frozenset((400,))
    errcodes: frozenset[str] = WRONG_JSON
    served: bool = False
    more: dict[str, Any] = field(default_factory=dict)
    """For the client's `request`."""

    def complaint(self, answer: Answer) -> str | None:
        """What is wrong with the answer."""
        status, body = answer
        if status < 400 and self.served:
            return None
        errcode = body.get("errcode") if isinstance(body, dict) else None
        if status >= 500 or (status >= 400 and errcode is None and not _asks_for_authentication(body)):
            return f"failed: {status} {str(body)[:200]}"
        if self.errcodes and not (status in self.status and errcode in self.errcodes):
            return f"{status} {str(body)[:200]}"
        return None if status >= 400 else f"served: {status} {str(body)[:200]}"


def _asks_for_authentication(body: Any) -> bool:
    return isinstance(body, dict) and "flows" in body and "session" in body


Attacks = Callable[[World, Operation, Request], Iterator[Attack]]


async def attack_all(place: Place, wanted: Iterable[Operation], attacks: Attacks) -> list[str]:
    """What was wrong with the answers. Where an attack that was let through may have changed the world, there is a new one."""
    complaints = []
    for operation in wanted:
        done, spoilt = 0, True
        while spoilt:
            spoilt = False
            world = await make_world(place)
            for attack in islice(attacks(world, operation, valid_request(world, operation)), done, None):
                done += 1
                answer = await _answer(world, operation, attack)
                complaint = attack.complaint(answer)
                if complaint is not None:
                    complaints.append(f"{operation.name}: {attack.label}: {complaint}")
                if answer[0] < 300 and operation.name in SPOILING:
                    spoilt = True
                    break
    return complaints


SPOILING = frozenset(
    {
        "ban",
        "changePassword",
        "createContent",
        "createRoom",
        "deactivateAccount",
        "deleteDevice",
        "deleteDevices",
        "deletePushRule",
        "deleteRoomAlias",
        "deleteRoomKeysVersion",
        "forgetRoom",
        "inviteUser",
        "joinRoom",
        "joinRoomById",
        "kick",
        "knockRoom",
        "leaveRoom",
        "logout",
        "logout_all",
        "refresh",
        "register",
        "setRoomAlias",
        "unban",
        "upgradeRoom",
        "uploadContentToMXC",
        "uploadCrossSigningKeys",
    }
)
"""Operations that, once they are served, leave a world in which the same request would be wrong."""


async def _answer(world: World, operation: Operation, attack: Attack) -> Answer:
    try:
        return await world.send(operation, attack.request, **attack.more)
    except AssertionError as error:  # the body is not what the specification documents
        return (500, f"not as documented: {error}")


def has_body(operation: Operation) -> bool:
    """Does the operation read a JSON body?"""
    return operation.method in ("PUT", "POST") and operation.name not in (
        "logout",
        "logout_all",
        "uploadContent",
        "uploadContentToMXC",
    )


def needs_token(operation: Operation) -> bool:
    """Is it refused without an access token?"""
    return operation.endpoint.auth is Auth.USER
