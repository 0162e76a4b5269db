"""What a /sync costs: nothing of the database when there is nothing new, or only what everybody in a hot room is told."""

from __future__ import annotations

import json
from typing import Any

from services.sync.listener import LIFETIME
from tests.fixtures.client import Client
from tests.fixtures.homeserver import Homeserver, MakeHomeserver
from tests.fixtures.time import FakeClock

LAZY = json.dumps({"room": {"state": {"lazy_load_members": True}}})


async def _statements(homeserver: Homeserver, client: Client, **params: Any) -> tuple[int, dict[str, Any]]:
    before = homeserver.tenant.database.statements_run
    said = await client.sync(set_presence="offline", **params)
    return homeserver.tenant.database.statements_run - before, said


async def test_nothing_new_asks_the_database_nothing(
    homeserver: Homeserver, alice: Client, bob: Client
) -> None:
    room = await alice.create_room(preset="public_chat")
    await bob.join(room)
    await bob.sync()
    await bob.sync()
    other = await alice.create_room()
    await alice.send(other, "elsewhere")
    count, said = await _statements(homeserver, bob)
    assert count == 0
    assert "rooms" not in said


async def test_a_message_in_a_hot_room_is_told_from_memory(
    homeserver: Homeserver, alice: Client, bob: Client
) -> None:
    room = await alice.create_room(preset="public_chat")
    await bob.join(room)
    for params in ({}, {"filter": LAZY}, {"use_state_after": "true"}):
        bob.next_batch = None
        await bob.sync(**params)
        await alice.send(room, "warm")
        await bob.sync(**params)
        await alice.send(room, "hot")
        count, said = await _statements(homeserver, bob, **params)
        assert said["rooms"]["join"][room]["timeline"]["events"][0]["content"]["body"] == "hot"
        assert count == 0, params


async def test_a_first_sync_takes_as_many_statements_for_many_rooms_as_for_few(
    homeserver: Homeserver, alice: Client
) -> None:
    async def first() -> int:
        homeserver.tenant.listeners.reset(homeserver.tenant.feed.position)
        return (await _statements(homeserver, alice, since=""))[0]

    await alice.create_room()
    few = await first()
    for _ in range(12):
        room = await alice.create_room(name="Room")
        await alice.send(room, "hello")
    assert await first() <= few + 1
    assert few <= 20


async def test_a_reset_loses_nothing(homeserver: Homeserver, alice: Client, bob: Client) -> None:
    room = await alice.create_room(preset="public_chat")
    await bob.join(room)
    await bob.sync()
    said = await alice.send(room, "before the reset")
    for cache in (homeserver.tenant.tails, homeserver.tenant.listeners):
        cache.reset(homeserver.tenant.feed.position)
    news = await bob.sync()
    events = news["rooms"]["join"][room]["timeline"]["events"]
    assert [event["event_id"] for event in events] == [said]


async def test_a_listener_lives_on_for_some_minutes(make_homeserver: MakeHomeserver) -> None:
    clock = FakeClock()
    homeserver = await make_homeserver(clock=clock)
    alice, bob, carol = [await homeserver.user(name) for name in ("alice", "bob", "carol")]
    room = await alice.create_room(preset="public_chat")
    await bob.join(room)
    await bob.sync()
    listener = await homeserver.tenant.listeners.of(bob.user_id)  # type: ignore[arg-type]
    clock.advance(LIFETIME // 2)
    await bob.sync()
    assert await homeserver.tenant.listeners.of(bob.user_id) is listener  # type: ignore[arg-type]
    clock.advance(LIFETIME + 1)
    await carol.sync()
    assert await homeserver.tenant.listeners.of(bob.user_id) is not listener  # type: ignore[arg-type]
    said = await alice.send(room, "still told")
    events = (await bob.sync())["rooms"]["join"][room]["timeline"]["events"]
    assert [event["event_id"] for event in events] == [said]
