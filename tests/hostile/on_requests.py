"""Paths, queries and tokens that are spoilt, and what belongs to others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from tests.hostile.attacks import WRONG_JSON, Attack, needs_token
from tests.hostile.operations import Operation
from tests.hostile.world import Request, World

# -- paths

ILL_FORMED = {
    "not UTF-8": "%FF",
    "a surrogate": "%ED%A0%80",
    "NUL": "a%00b",
}
NO_IDENTIFIER = ("x", "%20", "..", "%2F", "%21", "%40%3A", "1" * 300, "%F0%9F%A6%94", "%0A", "%25%30%30")
LONG = "x" * 5_000

# What another server, or nobody, has.
ELSEWHERE = {
    "roomId": ("!nowhere:one.example", "!nowhere:two.example", "!" + "A" * 43, "!a%0Ab"),
    "roomIdOrAlias": (
        "!nowhere:one.example",
        "%23nowhere:one.example",
        "%23nowhere:two.example",
        "!" + "A" * 43,
    ),
    "roomAlias": ("%23nowhere:one.example", "%23nowhere:two.example"),
    "eventId": ("$nothing", "$nothing:two.example", "$" + "A" * 43),
    "userId": ("@nobody:one.example", "@nobody:two.example"),
}
SIGILS = {"roomId": "!", "roomAlias": "#", "eventId": "$", "userId": "@"}
REFUSALS = frozenset({"M_NOT_FOUND", "M_FORBIDDEN", "M_UNRECOGNIZED"}) | WRONG_JSON
REFUSED = frozenset({400, 403, 404, 405, 413})


def on_paths(_: World, __: Operation, request: Request) -> Iterator[Attack]:
    """Each parameter of the path spoilt: not text at all, not an identifier, or the identifier of nothing here."""
    for name in request.path:
        for label, raw in ILL_FORMED.items():
            yield Attack(f"{name}: {label}", _at(request, name, raw), errcodes=frozenset({"M_INVALID_PARAM"}))
        typed = name in SIGILS
        for raw in (*NO_IDENTIFIER, LONG):
            spoilt = _at(request, name, raw)
            yield Attack(f"{name}: {raw[:20]}", spoilt, REFUSED, REFUSALS | ANY_NAME, served=not typed)
        for raw in ELSEWHERE.get(name, ()):
            yield Attack(f"{name}: {raw}", _at(request, name, raw), REFUSED, REFUSALS, served=True)


ANY_NAME = frozenset({"M_TOO_LARGE", "M_UNKNOWN_TOKEN", "M_KEY_TOO_LARGE", "M_UNSUPPORTED_ROOM_VERSION"})
"""What else may be said of a name that is no identifier."""


def _at(request: Request, name: str, raw: str) -> Request:
    return replace(request, path=request.path | {name: raw})


# -- queries

INTEGERS = {
    "-1": False,
    "0": True,
    "1000000000": True,
    "9223372036854775808": True,
    "1" * 50: False,
    "abc": False,
    "1.5": False,
    "1e3": False,
    "": False,
    "%D9%A3": False,
    "0x10": False,
    "%2B1": False,
    "1_000": False,
}
"""Written numbers, and whether they may be taken."""
FLAGS = ("yes", "1", "", "TRUE", "null")
TOKENS = (
    "garbage",
    "s",
    "s1",
    "s-1_-1",
    "s99999999999999999999_0",
    "t1-2",
    "s1_2_3_4",
    "%20",
    "x" * 3_000,
    "",
)
POSITIONS = ("since", "from", "to", "at")


def on_queries(_: World, operation: Operation, request: Request) -> Iterator[Attack]:
    """Each parameter of the query spoilt, repeated, and left away."""
    for name, kind in operation.query.items():
        for label, raw in ILL_FORMED.items():
            yield Attack(f"{name}={label}", _asking(request, name, raw), errcodes=WRONG_JSON, served=True)
        if kind == "integer":
            for raw, fine in INTEGERS.items():
                if operation.name == "sync" and len(raw) > 5:
                    continue  # it waits for as long as it is told to
                spoilt = _asking(request, name, raw)
                if fine or name in ("ts", "timeout_ms"):
                    yield Attack(f"{name}={raw}", spoilt, REFUSED, REFUSALS, served=True)
                else:
                    yield Attack(f"{name}={raw}", spoilt)
        elif kind == "boolean":
            for raw in FLAGS:
                yield Attack(f"{name}={raw}", _asking(request, name, raw), served=name == "animated")
        elif name in POSITIONS:
            for raw in TOKENS:
                served = raw == "" or operation.name in ("getPublicRooms", "getNotifications")
                yield Attack(f"{name}={raw[:30]}", _asking(request, name, raw), served=served)
        else:
            for raw in ("", "x", "{}", "[", "%7B%22room%22%3A7%7D", LONG):
                spoilt = _asking(request, name, raw)
                yield Attack(f"{name}={raw[:20]}", spoilt, REFUSED, REFUSALS | ANY_QUERY, served=True)
        twice = replace(request, query=[*request.query, (name, "1"), (name, "2")])
        yield Attack(f"{name} twice", twice, REFUSED, REFUSALS | ANY_QUERY, served=True)
        without = replace(request, query=[(n, value) for n, value in request.query if n != name])
        yield Attack(f"no {name}", without, REFUSED, REFUSALS, served=True)
    endless = replace(request, query=[*request.query, *[("a", str(n)) for n in range(1500)]])
    yield Attack("endless parameters", endless, errcodes=frozenset(), served=True)


ANY_QUERY = frozenset({"M_INVALID_USERNAME", "M_WRONG_ROOM_KEYS_VERSION", "M_UNKNOWN"})


def _asking(request: Request, name: str, raw: str) -> Request:
    return replace(request, query=[*((n, value) for n, value in request.query if n != name), (name, raw)])


# -- what is others'

OWN = ("/user/{userId}/", "/typing/{userId}", "/presence/{userId}", "/profile/{userId}/")
ANYBODYS_ROOM = ("/room_keys/", "/account_data/", "/tags", "/directory/list/room/")
"""Where a room's ID only names what the user keeps for it, or where everybody may ask."""


TELLS_NOTHING = ("forgetRoom", "reportRoom")
"""What is answered the same whether or not there is such a room."""


def on_others(world: World, operation: Operation, request: Request) -> Iterator[Attack]:
    """The same for another user, and in a room that the user is not in."""
    place = world.place
    forbidden, hidden = frozenset({"M_FORBIDDEN"}), frozenset({"M_FORBIDDEN", "M_NOT_FOUND"})
    writes = operation.method != "GET"
    if any(part in operation.path for part in OWN) and (writes or "/user/" in operation.path):
        yield Attack("bob's", _at(request, "userId", place.bob.user_id), frozenset((403,)), forbidden)
    for name in ("roomId", "roomIdOrAlias"):
        public = any(part in operation.path for part in ANYBODYS_ROOM)
        if name in request.path and (not public or (writes and "/directory/" in operation.path)):
            closed = _at(request, name, place.closed)
            yield Attack(
                "a closed room", closed, frozenset((403, 404)), hidden, served=operation.name in TELLS_NOTHING
            )
            if "eventId" in request.path:
                yield Attack(
                    "its event", _at(closed, "eventId", place.closed_event), frozenset((403, 404)), hidden
                )
    if "eventId" in request.path:
        elsewhere = _at(request, "eventId", place.closed_event)
        yield Attack("another room's event", elsewhere, REFUSED, hidden | WRONG_JSON, served=writes)


# -- tokens


def on_tokens(_: World, operation: Operation, request: Request) -> Iterator[Attack]:
    """No token, and tokens of nobody."""
    if not needs_token(operation):
        return
    missing, unknown = frozenset({"M_MISSING_TOKEN"}), frozenset({"M_UNKNOWN_TOKEN"})
    for label, header in (("an empty token", "Bearer "), ("another scheme", "Basic YTpi"), ("nothing", "")):
        yield _authorized(label, request, header, missing)
    long = "Bearer " + "x" * 10_000
    for header in ("Bearer x", "bearer syt_abc_def", "Bearer a b", "Bearer %00", "Bearer \u00e9", long):
        yield _authorized(header[:20], request, header, unknown)


def _authorized(label: str, request: Request, header: str, errcodes: frozenset[str]) -> Attack:
    return Attack(label, request, frozenset((401,)), errcodes, more={"headers": {"Authorization": header}})
