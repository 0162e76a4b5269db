"""Servers that cannot be reached are tried again, ever more rarely, and then told what they have missed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from federation.outbound.backoff import FIRST_PAUSE, LONGEST_PAUSE, next_pause
from federation.outbound.observations import NotTaken
from federation.outbound.parts import ENOUGH_REFUSALS
from federation.outbound.sender import LONG_OUTAGE, NOT_SOONER
from tests.federation.peer import PATIENCE, SENDING, MakePeer, Peer, Taken, crashed, written_down
from tests.federation.plays import path, public_room
from tests.fixtures.client import Client
from tests.fixtures.federation import MakeFederated
from tests.fixtures.homeserver import Homeserver
from tests.fixtures.time import FakeClock, FakeRandom

MINUTE = 60_000


async def scene(
    make_federated: MakeFederated, make_peer: MakePeer, rooms: int = 1
) -> tuple[FakeClock, Homeserver, Client, Peer, list[str]]:
    """A homeserver whose clock we move, alice, and a peer with a user in each of her rooms."""
    clock = FakeClock()
    one, peer = await make_federated(clock=clock), await make_peer(clock=clock)
    alice = await one.user("alice")
    room_ids = [await public_room(alice) for _ in range(rooms)]
    for room_id in room_ids:
        await peer.joins(one, room_id)
    return clock, one, alice, peer, room_ids


async def destination(homeserver: Homeserver, peer: Peer) -> Any:
    """What the homeserver has written down about the peer."""
    async with homeserver.tenant.database.read() as tx:
        return await tx.fetchrow("SELECT * FROM destinations WHERE server = $1", peer.name)


async def failed(homeserver: Homeserver, peer: Peer, after: int = 0) -> int:
    """The pause, once the homeserver has written down that the peer failed after a pause of so long."""
    async with asyncio.timeout(PATIENCE):
        while (found := await destination(homeserver, peer))["retry_after"] <= after:
            await asyncio.sleep(0.01)
    return int(found["retry_after"])


def test_pauses_grow_to_a_limit_and_are_not_all_alike() -> None:
    random, pause, pauses = FakeRandom(), 0, []
    for _ in range(30):
        pause = next_pause(pause, random)
        pauses.append(pause)
    assert FIRST_PAUSE * 0.8 <= pauses[0] <= FIRST_PAUSE * 1.2
    assert all(LONGEST_PAUSE * 0.79 <= pause <= LONGEST_PAUSE * 1.2 for pause in pauses[-5:])
    assert len(set(pauses[-10:])) > 5
    assert next_pause(0, random, asked=MINUTE) == MINUTE


async def test_a_failed_transaction_is_repeated_as_it_was(
    make_federated: MakeFederated, make_peer: MakePeer
) -> None:
    clock, one, alice, peer, [room_id] = await scene(make_federated, make_peer)
    peer.forgets = 1

    await alice.send(room_id, "hello")
    await peer.until(lambda: len(peer.asked) == 1)
    clock.advance(2 * await failed(one, peer))
    await peer.until(lambda: len(peer.taken) == 2)

    assert peer.taken[0] == peer.taken[1]
    await alice.send(room_id, "again")
    await peer.reads("hello", "hello", "again")
    await written_down(one, peer)
    assert (await destination(one, peer))["failing_since"] is None


async def test_it_is_tried_ever_more_rarely(make_federated: MakeFederated, make_peer: MakePeer) -> None:
    clock, one, alice, peer, [room_id] = await scene(make_federated, make_peer)
    peer.is_up = False
    await alice.send(room_id, "hello")

    pause = await failed(one, peer)
    for tries in range(2, 7):
        clock.advance(pause - 1)
        await alice.send(room_id, f"try {tries}")  # no reason to try sooner
        assert len(peer.asked) == tries - 1
        clock.advance(1)
        longer = await failed(one, peer, pause)
        assert longer > 1.3 * pause
        pause = longer


async def test_after_a_short_outage_everything_comes_in_order(
    make_federated: MakeFederated, make_peer: MakePeer
) -> None:
    clock, one, alice, peer, rooms = await scene(make_federated, make_peer, rooms=2)
    peer.is_up = False
    said = [str(number) for number in range(60)]
    for number, body in enumerate(said):
        await alice.send(rooms[number % 2], body)
    pause = await failed(one, peer)

    peer.is_up = True
    clock.advance(pause)

    await peer.reads(*said)


async def test_after_a_long_outage_the_last_event_of_each_room_is_enough(
    make_federated: MakeFederated, make_peer: MakePeer
) -> None:
    clock, one, alice, peer, rooms = await scene(make_federated, make_peer, rooms=3)
    peer.is_up = False
    for number in range(4):
        for room_id in rooms[:2]:
            await alice.send(room_id, f"{rooms.index(room_id)}: {number}")
    pause = await failed(one, peer)
    peer.server.clock = clock
    for _ in range(12):  # until the pauses add up to an hour and more
        clock.advance(pause)
        pause = await failed(one, peer, pause)
    assert pause > LONG_OUTAGE / 2
    peer.is_up = True
    tried = len(peer.asked)
    clock.advance(pause)

    await peer.reads("0: 3", "1: 3")
    await alice.send(rooms[0], "and on")
    await peer.reads("0: 3", "1: 3", "and on")
    assert len(peer.asked) == tried + 2


async def test_one_who_is_heard_from_is_tried_again(
    make_federated: MakeFederated, make_peer: MakePeer
) -> None:
    clock, one, alice, peer, [room_id] = await scene(make_federated, make_peer)
    peer.is_up = False
    await alice.send(room_id, "hello")
    pause = await failed(one, peer)
    while pause < 10 * MINUTE:
        clock.advance(pause)
        pause = await failed(one, peer, pause)

    peer.is_up = True
    await peer.greets(one)
    clock.advance(NOT_SOONER)

    await peer.reads("hello")


async def test_a_process_takes_up_what_a_dead_one_has_left(
    make_federated: MakeFederated, make_peer: MakePeer
) -> None:
    _, one, alice, peer, [room_id] = await scene(make_federated, make_peer)
    await alice.send(room_id, "before")
    await peer.reads("before")
    await written_down(one, peer)

    async with crashed(*SENDING):
        await alice.send(room_id, "meanwhile")
        async with one.tenant.database.read() as tx:  # as if a while had passed
            await tx.execute("UPDATE destinations SET held_until = now() - interval '1 second'")
        await make_federated(beside=one, name=one.name, clock=FakeClock())
        await peer.reads("before", "meanwhile")


async def test_of_two_processes_one_delivers(
    make_federated: MakeFederated, make_peer: MakePeer, redis_url: str
) -> None:
    one, peer = await make_federated(redis_url=redis_url), await make_peer()
    two = await make_federated(beside=one, name=one.name, redis_url=redis_url)
    alice = await one.user("alice")
    room_id = await public_room(alice)
    await peer.joins(one, room_id)

    said = [str(number) for number in range(40)]
    here, there = alice, Client(two.session, two.url, alice.user_id, alice.device_id, alice.access_token)
    for number, body in enumerate(said):
        await (here, there)[number % 2].ok(
            "PUT", path(room_id, "send", "m.room.message", f"x{number}"), json={"body": body}
        )

    await peer.reads(*said)
    assert peer.most_at_once == 1


async def test_a_large_backlog_is_not_told_one_by_one(
    make_federated: MakeFederated, make_peer: MakePeer
) -> None:
    clock, one, alice, peer, [room_id] = await scene(make_federated, make_peer)
    peer.is_up = False
    await asyncio.gather(*(alice.send(room_id, str(number)) for number in range(510)))
    last = await alice.send(room_id, "the last")
    pause = await failed(one, peer)
    assert last

    peer.is_up = True
    clock.advance(pause)

    await peer.until(lambda: "the last" in peer.bodies())
    # What was on its way is repeated, for it may have arrived; of the rest only the last.
    assert len(peer.bodies()) <= 51


def has(body: str) -> Callable[[Taken], bool]:
    """Whether a transaction has this message in it."""
    return lambda taken: any(pdu["content"].get("body") == body for pdu in taken.pdus)


async def refused_often(clock: FakeClock, one: Homeserver, peer: Peer) -> int:
    """Lets pauses pass until the next try, which begins now, is the one too many; the last pause."""
    pause = await failed(one, peer)
    for _ in range(ENOUGH_REFUSALS - 2):
        clock.advance(pause)
        pause = await failed(one, peer, pause)
    clock.advance(pause)
    return pause


async def test_what_is_never_taken_does_not_hold_up_its_neighbours(
    make_federated: MakeFederated, make_peer: MakePeer
) -> None:
    clock, one, alice, peer, [room_id] = await scene(make_federated, make_peer)
    peer.refuses = has("poison")
    peer.is_open.clear()
    await alice.send(room_id, "first")
    await peer.until(lambda: peer.asked)
    for body in ("a", "b", "poison", "c", "d"):
        await alice.send(room_id, body)
    peer.is_open.set()
    await refused_often(clock, one, peer)

    await peer.reads("first", "a", "b", "c", "d")
    left_out = [str(seen) for seen in one.observed if isinstance(seen, NotTaken)]
    assert len(left_out) == 1
    assert "m.room.message" in left_out[0]
    await alice.send(room_id, "and on")
    await peer.reads("first", "a", "b", "c", "d", "and on")
    await written_down(one, peer)
    assert (await destination(one, peer))["failing_since"] is None


async def test_who_refuses_everything_misses_nothing_in_the_end(
    make_federated: MakeFederated, make_peer: MakePeer
) -> None:
    clock, one, alice, peer, [room_id] = await scene(make_federated, make_peer)
    peer.refuses = lambda _: True
    await alice.send(room_id, "hello")
    pause = await failed(one, peer, await refused_often(clock, one, peer))
    assert peer.asked[-1].pdus == []

    peer.refuses = lambda _: False
    clock.advance(pause)

    await peer.reads("hello")
    assert not [seen for seen in one.observed if isinstance(seen, NotTaken)]
