"""Jumping to a date."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from tests.fixtures.client import Client
from tests.fixtures.homeserver import MakeHomeserver
from tests.fixtures.time import START, FakeClock

DAY = 86_400_000


async def event_at(client: Client, room: str, ts: int, direction: str) -> tuple[int, Any]:
    path = f"/_matrix/client/v1/rooms/{quote(room, safe='')}/timestamp_to_event"
    return await client.get(path, params={"ts": ts, "dir": direction})


async def test_the_nearest_event_on_either_side(make_homeserver: MakeHomeserver) -> None:
    clock = FakeClock()
    homeserver = await make_homeserver(clock=clock)
    alice = await homeserver.user("alice")
    room = await alice.create_room()
    sent = []
    for _ in range(3):
        clock.advance(40 * DAY)
        sent.append((await alice.send(room, "hello"), clock.now()))

    for event_id, time in sent:
        expected = (200, {"event_id": event_id, "origin_server_ts": time})
        assert await event_at(alice, room, time, "f") == expected
        assert await event_at(alice, room, time, "b") == expected
        assert await event_at(alice, room, time - 39 * DAY, "f") == expected
        assert await event_at(alice, room, time + 39 * DAY, "b") == expected
    assert await event_at(alice, room, 2**52, "b") == (
        200,
        {"event_id": sent[-1][0], "origin_server_ts": sent[-1][1]},
    )
    assert (await event_at(alice, room, START + 121 * DAY, "f"))[0] == 404
    assert (await event_at(alice, room, START - 1, "b"))[0] == 404


async def test_events_that_one_may_not_see_are_passed_over(make_homeserver: MakeHomeserver) -> None:
    clock = FakeClock()
    homeserver = await make_homeserver(clock=clock)
    alice, bob = await homeserver.user("alice"), await homeserver.user("bob")
    visibility = {"type": "m.room.history_visibility", "content": {"history_visibility": "joined"}}
    room = await alice.create_room(preset="public_chat", initial_state=[visibility])
    clock.advance(DAY)
    await alice.send(room, "unseen")
    clock.advance(DAY)
    await bob.join(room)
    joined_at = clock.now()

    # How the room was made, before its history became private, is for all who come.
    for direction, expected in (("f", joined_at), ("b", START)):
        status, body = await event_at(bob, room, START + DAY, direction)
        assert (status, body["origin_server_ts"]) == (200, expected)


@pytest.mark.parametrize("params", [{"ts": 1}, {"dir": "f"}, {"ts": 1, "dir": "x"}, {"ts": "x", "dir": "f"}])
async def test_nonsense_is_refused(alice: Client, params: dict[str, Any]) -> None:
    room = await alice.create_room()
    path = f"/_matrix/client/v1/rooms/{quote(room, safe='')}/timestamp_to_event"
    assert (await alice.get(path, params=params))[0] == 400


async def test_it_is_for_those_who_may_read_the_room(alice: Client, bob: Client) -> None:
    room = await alice.create_room()
    assert (await event_at(bob, room, 0, "f"))[0] == 403
