"""Tails: the last events in memory are what the database has, whoever wrote them, and take no more room than they may."""

from __future__ import annotations

from typing import Any

from services.rooms.tail import LENGTH, Tails
from tests.fixtures.client import Client
from tests.fixtures.homeserver import Homeserver, MakeHomeserver


def _bodies(said: dict[str, Any], room: str) -> list[str | None]:
    events = said["rooms"]["join"][room]["timeline"]["events"]
    return [event["content"].get("body") for event in events]


async def test_a_redaction_reaches_what_is_in_memory(alice: Client, bob: Client) -> None:
    room = await alice.create_room(preset="public_chat")
    await bob.join(room)
    await bob.sync()
    since = bob.next_batch
    secret = await alice.send(room, "secret")
    assert _bodies(await bob.sync(since=since), room) == ["secret"]
    redaction = await alice.redact(room, secret)
    said = await bob.sync(since=since)
    assert _bodies(said, room)[0] is None
    event = said["rooms"]["join"][room]["timeline"]["events"][0]
    assert event["unsigned"]["redacted_because"]["event_id"] == redaction


async def test_what_another_process_wrote_is_read_in_its_order(
    make_homeserver: MakeHomeserver, redis_url: str
) -> None:
    one = await make_homeserver(redis_url=redis_url)
    two = await make_homeserver(redis_url=redis_url, beside=one)
    alice, bob = await one.user("alice"), await one.user("bob")
    there = await alice.log_in()
    there.session, there.url = two.session, two.url
    room = await alice.create_room(preset="public_chat")
    await bob.join(room)
    await bob.sync()
    heard: list[str | None] = []
    for n in range(10):
        await (alice if n % 2 else there).send(room, f"{n}")
        while len(heard) <= n:
            said = await bob.sync(timeout=10_000, set_presence="offline")
            heard += _bodies(said, room) if room in said.get("rooms", {}).get("join", {}) else []
    assert heard == [f"{n}" for n in range(10)]


async def test_tails_are_as_long_and_as_large_as_they_may_be(homeserver: Homeserver, alice: Client) -> None:
    rooms = [await alice.create_room() for _ in range(3)]
    sent = [[await alice.send(room, f"{n}") for n in range(5)] for room in rooms]
    upto = homeserver.tenant.feed.position
    everything = await Tails(homeserver.tenant.database).read(rooms[0], -1, upto, LENGTH)
    size = sum(event.size for event in everything.events)
    tails = Tails(homeserver.tenant.database, budget=size + 10)
    for room, ids in zip(rooms, sent, strict=True):
        page = await tails.read(room, -1, upto, 3)
        assert [event.event_id for event in page.events] == ids[-3:]
        assert page.limited
    assert tails.peek(rooms[-1], -1, upto, 3) is not None
    assert tails.peek(rooms[0], -1, upto, 3) is None


async def test_a_tail_says_what_it_does_not_have(homeserver: Homeserver, alice: Client) -> None:
    room = await alice.create_room()
    before = homeserver.tenant.feed.position
    sent = [await alice.send(room, f"{n}") for n in range(LENGTH + 5)]
    tails, upto = Tails(homeserver.tenant.database), homeserver.tenant.feed.position
    page = await tails.read(room, before, upto, LENGTH + 5)
    assert [event.event_id for event in page.events] == sent
    assert not page.limited
    assert tails.peek(room, before, upto, LENGTH + 5) is None
    newest = tails.peek(room, before, upto, LENGTH)
    assert newest is not None
    assert newest.limited
    older = tails.peek(room, before, newest.events[10].position, 5)
    assert older is not None
    assert [event.event_id for event in older.events] == sent[11:16]
