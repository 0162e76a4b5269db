"""Bodies that are spoilt: as a whole, and value by value."""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from typing import Any

from tests.hostile.attacks import WRONG_JSON, Attack, has_body
from tests.hostile.operations import Operation
from tests.hostile.world import Request, World
from web.endpoint import Body

# -- bodies

NOT_JSON = {
    "half an object": b'{"a": ',
    "not UTF-8": b'{"a": "\xff\xfe"}',
    "NaN": b'{"a": NaN}',
    "Infinity": b'{"a": -Infinity}',
    "a lone surrogate": b'{"a": "\\ud800"}',
    "a raw surrogate": b'{"a": "\xed\xa0\x80"}',
    "two values": b"{}{}",
    "UTF-16": "{}".encode("utf-16"),
    "a control character": b'{"a": "\x01"}',
    "a comment": b"{} // really",
    "single quotes": b"{'a': 1}",
    "endless lists": b"[" * 100_000,
    "deep lists": b'{"a": ' + b"[" * 2_000 + b"]" * 2_000 + b"}",
    "deep objects": b'{"a":' * 2_000 + b"1" + b"}" * 2_000,
    "a form": b"a=b&c=d",
}
NOT_AN_OBJECT = {
    "null": b"null",
    "a list": b"[]",
    "a string": b'"a"',
    "a number": b"7",
    "a flag": b"true",
    "a list of objects": b"[{}]",
}


def on_bodies(_: World, operation: Operation, request: Request) -> Iterator[Attack]:
    """Bodies that are no JSON, no object, or too large."""
    if operation.endpoint.body is Body.JSON:
        large = b'{"a": "' + b"a" * operation.endpoint.max_body + b'"}'
        yield _with_bytes("an oversized body", request, large, 413, "M_TOO_LARGE")
    if not has_body(operation):
        return
    optional = operation.name in BODY_IGNORED
    for label, body in NOT_JSON.items():
        yield replace(_with_bytes(label, request, body, 400, "M_NOT_JSON"), served=optional)
    for label, body in NOT_AN_OBJECT.items():
        yield replace(_with_bytes(label, request, body, 400, "M_BAD_JSON"), served=optional)
    yield Attack("no body", request, errcodes=frozenset(), served=True, more={"data": b""})
    headers = {"Content-Type": "text/plain; charset=utf-16"}
    yield Attack("another type", request, errcodes=frozenset(), served=True, more={"headers": headers})


BODY_IGNORED = frozenset({"createContent", "forgetRoom", "requestOpenIdToken"})
"""Operations whose body says nothing."""


def _with_bytes(label: str, request: Request, body: bytes, status: int, errcode: str) -> Attack:
    return Attack(label, request, frozenset((status,)), frozenset((errcode,)), more={"data": body})


# -- fields

DEEP: Any = json.loads("[" * 100 + "]" * 100)
WRONG_VALUES: dict[str, Any] = {
    "null": None,
    "a number": 7,
    "a string": "seven",
    "an empty string": "",
    "NUL": "\0",
    "a long string": "x" * 70_000,
    "a list": [],
    "a list of all sorts": [None, 1, "a", {}, [], True],
    "an object": {},
    "an object of all sorts": {"a": None, "b": [], "\0": 1},
    "true": True,
    "a float": 1.5,
    "2^63": 2**63,
    "-2^63": -(2**63),
    "1e300": 1e300,
    "a negative number": -1,
    "deep lists": DEEP,
}


def kind(value: Any) -> str:
    """What JSON calls it; numbers are one kind."""
    if isinstance(value, bool):
        return "flag"
    return {int: "number", float: "number", str: "string", list: "list", dict: "object"}.get(
        type(value), "null"
    )


def on_fields(world: World, operation: Operation, request: Request) -> Iterator[Attack]:
    """Every value in the body replaced by each other one, and left away."""
    if request.body is None or not has_body(operation):
        return
    for place, value in _places(request.body):
        name = ".".join("*" if isinstance(part, int) else _anonymous(world, part) for part in place)
        free = any(f"{operation.name} {name}".startswith(prefix) for prefix in FREE)
        for label, wrong in WRONG_VALUES.items():
            served = free or kind(wrong) == kind(value) or wrong is None
            spoilt = replace(request, body=_replaced(request.body, place, wrong))
            errcodes = frozenset[str]() if served or name.startswith("auth") else WRONG_JSON
            yield Attack(f"{name} = {label}", spoilt, errcodes=errcodes, served=served)
        spoilt = replace(request, body=_removed(request.body, place))
        needed = len(place) == 1 and name in operation.required
        yield Attack(f"no {name}", spoilt, errcodes=WRONG_JSON if needed else frozenset(), served=not needed)


FREE = (
    "createRoom creation_content.",
    "createRoom initial_state.*.content.",
    "postRoomKeysVersion auth_data.",
    "putRoomKeyBySessionId session_data.",
    "putRoomKeys rooms.<id>.sessions.s.session_data.",
    "putRoomKeysByRoomId sessions.s.session_data.",
    "putRoomKeysVersion auth_data.",
    "queryPublicRooms filter.room_types.*",  # null is one
    "sendMessage ",
    "sendToDevice messages.<id>.*.",
    "setAccountData",
    "setPushRuleActions actions.*.value",
    "setRoomStateWithKey ",
    "uploadCrossSigningKeys auth",  # not looked at: the first keys want no password
    "uploadCrossSigningSignatures <id>.<id>.",  # what is wrong with one is told among `failures`
    "uploadKeys fallback_keys.signed_curve25519",
    "uploadKeys one_time_keys.signed_curve25519",
)
"""Operation and field of values that may be anything, or whose mistakes are not the server's to find."""


def _anonymous(world: World, part: str) -> str:
    known = (
        world.me.user_id,
        world.me.device_id,
        world.room,
        world.place.bob.user_id,
        world.place.bob.device_id,
    )
    return "<id>" if part in known or part.startswith(("ed25519:", "curve25519:")) else part


def _places(value: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    members = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for name, member in members:
        yield (*above, name), member
        yield from _places(member, (*above, name))


def _replaced(body: Any, place: tuple[Any, ...], value: Any) -> Any:
    body = deepcopy(body)
    holder = body
    for part in place[:-1]:
        holder = holder[part]
    holder[place[-1]] = value
    return body


def _removed(body: Any, place: tuple[Any, ...]) -> Any:
    body = deepcopy(body)
    holder = body
    for part in place[:-1]:
        holder = holder[part]
    del holder[place[-1]]
    return body
