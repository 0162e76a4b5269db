"""Backups of room keys: versions, merging, and what is there afterwards."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any
from urllib.parse import quote

import pytest

from tests.fixtures.client import Client
from tests.fixtures.homeserver import Homeserver

ALGORITHM = "m.megolm_backup.v1.curve25519-aes-sha2"
ROOM, OTHER = "!room:one.example", "!other:one.example"


def key(index: int = 5, forwarded: int = 1, *, verified: bool = False, data: str = "x") -> dict[str, Any]:
    """A session's key, as clients back it up."""
    return {
        "first_message_index": index,
        "forwarded_count": forwarded,
        "is_verified": verified,
        "session_data": {"ciphertext": data},
    }


async def create(user: Client, public_key: str = "k") -> str:
    """The version of a new backup."""
    body = {"algorithm": ALGORITHM, "auth_data": {"public_key": public_key}}
    return str((await user.ok("POST", "room_keys/version", json=body))["version"])


def path_of(*parts: str) -> str:
    """The path of all keys, of a room's, or of a session's."""
    return "/".join(("room_keys/keys", *(quote(part, safe="") for part in parts)))


async def put(user: Client, version: str, body: dict[str, Any], *parts: str) -> dict[str, Any]:
    """Stores; the count and the etag."""
    return dict(await user.ok("PUT", path_of(*parts), params={"version": version}, json=body))


async def get(user: Client, version: str, *parts: str) -> dict[str, Any]:
    """What is stored."""
    return dict(await user.ok("GET", path_of(*parts), params={"version": version}))


async def test_versions_are_counted_and_the_newest_is_current(alice: Client, bob: Client) -> None:
    status, said = await alice.get("room_keys/version")
    assert (status, said["errcode"]) == (404, "M_NOT_FOUND")
    assert [await create(alice, name) for name in ("a", "b")] == ["1", "2"]
    current = await alice.ok("GET", "room_keys/version")
    assert (current["version"], current["count"], current["algorithm"]) == ("2", 0, ALGORITHM)
    assert current == await alice.ok("GET", "room_keys/version/2")
    assert (await alice.ok("GET", "room_keys/version/1"))["auth_data"] == {"public_key": "a"}
    assert await create(bob) == "1"


async def test_versions_that_are_created_at_once_are_different(alice: Client) -> None:
    created = await asyncio.gather(*(create(alice) for _ in range(8)))
    assert sorted(created) == [str(number) for number in range(1, 9)]


@pytest.mark.parametrize("version", ["0", "9", "x", "1x", "-1", "٣", "9" * 30])
async def test_unknown_versions_are_not_found(alice: Client, version: str) -> None:
    await create(alice)
    body = {"algorithm": ALGORITHM, "auth_data": {}}
    path, keys = f"room_keys/version/{quote(version)}", {"params": {"version": version}}
    answers = [
        await alice.get(path),
        await alice.put(path, body),
        await alice.delete(path),
        await alice.get(path_of(), **keys),
        await alice.get(path_of(ROOM), **keys),
        await alice.put(path_of(), {"rooms": {}}, **keys),
        await alice.delete(path_of(), **keys),
    ]
    assert {(status, said["errcode"]) for status, said in answers} == {(404, "M_NOT_FOUND")}


async def test_only_the_auth_data_of_a_version_can_be_changed(alice: Client) -> None:
    path = f"room_keys/version/{await create(alice)}"
    new = {"algorithm": ALGORITHM, "auth_data": {"public_key": "new"}}
    for body in (new, new | {"version": "1"}):
        assert await alice.put(path, body) == (200, {})
    assert (await alice.ok("GET", path))["auth_data"] == {"public_key": "new"}
    for body in (new | {"version": "2"}, new | {"algorithm": "other"}):
        status, said = await alice.put(path, body)
        assert (status, said["errcode"]) == (400, "M_INVALID_PARAM")


async def test_a_deleted_version_is_gone_with_its_keys_and_its_number_is_not_given_again(
    alice: Client,
) -> None:
    one, two = await create(alice), await create(alice)
    await put(alice, two, key(), ROOM, "s")
    for _ in range(2):
        assert await alice.delete(f"room_keys/version/{two}") == (200, {})
    assert (await alice.ok("GET", "room_keys/version"))["version"] == one
    status, _ = await alice.get(path_of(), params={"version": two})
    assert status == 404
    assert await create(alice) == "3"


async def test_sessions_are_stored_and_read_one_by_one_by_room_and_all(alice: Client) -> None:
    version = await create(alice)
    first = await put(alice, version, key(1), ROOM, "a")
    second = await put(alice, version, {"sessions": {"b": key(2), "c": key(3)}}, ROOM)
    third = await put(alice, version, {"rooms": {OTHER: {"sessions": {"a/b": key(4)}}}})
    assert [said["count"] for said in (first, second, third)] == [1, 3, 4]
    assert len({said["etag"] for said in (first, second, third)}) == 3
    assert await get(alice, version, OTHER, "a/b") == key(4)
    assert await get(alice, version, ROOM) == {"sessions": {"a": key(1), "b": key(2), "c": key(3)}}
    everything = {
        ROOM: {"sessions": {"a": key(1), "b": key(2), "c": key(3)}},
        OTHER: {"sessions": {"a/b": key(4)}},
    }
    assert await get(alice, version) == {"rooms": everything}
    current = await alice.ok("GET", "room_keys/version")
    assert (current["count"], current["etag"]) == (4, third["etag"])


async def test_what_is_not_there_is_empty_and_one_session_is_not_found(alice: Client, bob: Client) -> None:
    version = await create(alice)
    assert await get(alice, version) == {"rooms": {}}
    assert await get(alice, version, ROOM) == {"sessions": {}}
    status, said = await alice.get(path_of(ROOM, "s"), params={"version": version})
    assert (status, said["errcode"]) == (404, "M_NOT_FOUND")
    await put(alice, version, key(), ROOM, "s")
    await create(bob)
    assert await get(bob, version) == {"rooms": {}}


@pytest.mark.parametrize(
    ("stored", "given", "is_better"),
    [
        (key(5, 5), key(9, 9, verified=True), True),
        (key(5, 5, verified=True), key(1, 1), False),
        (key(5, 5), key(4, 9), True),
        (key(5, 5), key(6, 1), False),
        (key(5, 5), key(5, 4), True),
        (key(5, 5), key(5, 6), False),
        (key(5, 5), key(5, 5), False),
        (key(5, 5, verified=True), key(4, 9, verified=True), True),
    ],
)
async def test_a_session_gives_way_only_to_a_better_one(
    alice: Client, stored: dict[str, Any], given: dict[str, Any], is_better: bool
) -> None:
    version = await create(alice)
    given = given | {"session_data": {"ciphertext": "given"}}
    before = await put(alice, version, stored, ROOM, "s")
    after = await put(alice, version, {"rooms": {ROOM: {"sessions": {"s": given}}}})
    assert await get(alice, version, ROOM, "s") == (given if is_better else stored)
    assert (before["etag"] != after["etag"]) is is_better
    assert after["count"] == 1


async def test_only_the_current_version_takes_keys(alice: Client) -> None:
    old, current = await create(alice), await create(alice)
    for path, body in (
        (path_of(), {"rooms": {ROOM: {"sessions": {"s": key()}}}}),
        (path_of(ROOM), {"sessions": {"s": key()}}),
        (path_of(ROOM, "s"), key()),
    ):
        status, said = await alice.put(path, body, params={"version": old})
        assert (status, said["errcode"]) == (403, "M_WRONG_ROOM_KEYS_VERSION")
        assert said["current_version"] == current
    assert await get(alice, old) == {"rooms": {}}


async def test_sessions_are_deleted_one_by_one_by_room_and_all(alice: Client) -> None:
    version = await create(alice)
    sessions = {"sessions": {"a": key(), "b": key()}}
    stored = await put(alice, version, {"rooms": {ROOM: sessions, OTHER: sessions}})
    counts, etags = [], [stored["etag"]]
    for parts in ((ROOM, "a"), (ROOM, "a"), (ROOM,), ()):
        said = await alice.ok("DELETE", path_of(*parts), params={"version": version})
        counts.append(said["count"])
        etags.append(said["etag"])
    assert counts == [3, 3, 2, 0]
    assert [one == other for one, other in pairwise(etags)] == [False, True, False, False]


async def test_many_sessions_are_a_fixed_number_of_statements(homeserver: Homeserver, alice: Client) -> None:
    version = await create(alice)

    async def statements(number: int, room_id: str) -> int:
        before = homeserver.tenant.database.statements_run
        sessions = {f"s{number}": key() for number in range(number)}
        await put(alice, version, {"rooms": {room_id: {"sessions": sessions}}})
        return homeserver.tenant.database.statements_run - before

    assert await statements(200, ROOM) == await statements(1, OTHER)


async def test_writers_at_once_lose_nothing(alice: Client) -> None:
    version = await create(alice)
    bodies = [
        {"sessions": {f"s{number}": key() for number in range(first, first + 10)}} for first in range(20)
    ]
    await asyncio.gather(*(put(alice, version, body, ROOM) for body in bodies))
    assert (await alice.ok("GET", "room_keys/version"))["count"] == 29


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "room_keys/version", {}),
        ("POST", "room_keys/version", {"algorithm": 1, "auth_data": {}}),
        ("POST", "room_keys/version", {"algorithm": ALGORITHM, "auth_data": []}),
        ("PUT", path_of() + "?version=1", {}),
        ("PUT", path_of() + "?version=1", {"rooms": {"noroom": {"sessions": {}}}}),
        ("PUT", path_of() + "?version=1", {"rooms": {ROOM: {}}}),
        ("PUT", path_of() + "?version=1", {"rooms": {ROOM: 1}}),
        ("PUT", path_of(ROOM) + "?version=1", {"sessions": {"s": 1}}),
        ("PUT", path_of(ROOM) + "?version=1", {"sessions": {"s": key() | {"is_verified": "yes"}}}),
        ("PUT", path_of(ROOM) + "?version=1", {"sessions": {"s" * 3000: key()}}),
        ("PUT", path_of(ROOM) + "?version=1", {"sessions": {"\0": key()}}),
        ("PUT", path_of(ROOM, "s") + "?version=1", key() | {"first_message_index": -1}),
        ("PUT", path_of(ROOM, "s") + "?version=1", key() | {"session_data": None}),
        ("PUT", path_of(ROOM, "s"), key()),
        ("GET", path_of(), None),
        ("DELETE", path_of(), None),
    ],
)
async def test_senseless_requests_are_refused(alice: Client, method: str, path: str, body: Any) -> None:
    await create(alice)
    status, said = await alice.request(method, path, json=body)
    assert status == 400
    assert said["errcode"] in ("M_BAD_JSON", "M_MISSING_PARAM", "M_INVALID_PARAM")
