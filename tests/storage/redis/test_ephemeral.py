"""Typing and presence: the same for one process and for several on a real Redis."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from dataclasses import replace

import pytest
from redis.asyncio import Redis

from storage import topics
from storage.redis import replica as replica_module
from storage.redis.ephemeral import Ephemeral, LocalEphemeral
from storage.redis.replica import IDLE_AFTER, OFFLINE_AFTER, PresenceState, Replica, TypingRoom
from storage.redis.shared_ephemeral import RedisEphemeral
from tests.storage.redis.conftest import Corner, Reported

START = 1_800_000_000_000
ROOM, OTHER = "!room:one", "!other:one"
ALICE, BOB = "@alice:one", "@bob:one"
ONLINE = PresenceState("online", START, START)


class JumpingClock:
    """Time that stands until it jumps."""

    def __init__(self) -> None:
        self.time = START
        self._jumped = asyncio.Condition()

    def now(self) -> int:
        return self.time

    def sleep(self, milliseconds: int) -> Coroutine[None, None, None]:
        return self._sleep_until(self.time + milliseconds)  # counted from the call, not from the first await

    async def _sleep_until(self, until: int) -> None:
        async with self._jumped:
            await self._jumped.wait_for(lambda: self.time >= until)

    async def jump(self, milliseconds: int) -> None:
        async with self._jumped:
            self.time += milliseconds
            self._jumped.notify_all()


class Waiter:
    """Someone who waits for topics of a process."""

    def __init__(self, ephemeral: Ephemeral) -> None:
        self.heard: list[str] = []
        self._news = asyncio.Event()
        ephemeral.subscribe(self._told)

    def _told(self, changed: tuple[str, ...]) -> None:
        self.heard += changed
        self._news.set()

    async def hears(self, topic: str) -> None:
        """Returns when the topic is heard, and forgets what was heard up to it."""
        while topic not in self.heard:
            self._news.clear()
            await asyncio.wait_for(self._news.wait(), 10)
        del self.heard[: self.heard.index(topic) + 1]


@pytest.fixture
def clock() -> JumpingClock:
    return JumpingClock()


@pytest.fixture(params=["local", "redis"])
async def ephemeral(
    request: pytest.FixtureRequest, corner: Corner, clock: JumpingClock
) -> AsyncIterator[Ephemeral]:
    if request.param == "local":
        ephemeral: Ephemeral = LocalEphemeral(clock)
    else:
        ephemeral = RedisEphemeral(corner("a"), clock)
    await ephemeral.start()
    yield ephemeral
    await ephemeral.stop()


@pytest.fixture
async def two(corner: Corner, clock: JumpingClock) -> AsyncIterator[tuple[RedisEphemeral, RedisEphemeral]]:
    a, b = RedisEphemeral(corner("a"), clock), RedisEphemeral(corner("b"), clock)
    await a.start()
    await b.start()
    yield a, b
    await a.stop()
    await b.stop()


async def test_who_types_is_seen_sorted_until_they_cease(ephemeral: Ephemeral) -> None:
    await ephemeral.set_typing(ROOM, BOB, START + 5000)
    await ephemeral.set_typing(ROOM, ALICE, START + 5000)
    assert ephemeral.typing(ROOM) == (ALICE, BOB)
    assert ephemeral.typing(OTHER) == ()
    await ephemeral.set_typing(ROOM, BOB, None)
    assert ephemeral.typing(ROOM) == (ALICE,)


async def test_changes_are_numbered_from_the_clock_on(ephemeral: Ephemeral) -> None:
    before = ephemeral.position
    assert before >= START
    await ephemeral.set_typing(ROOM, ALICE, START + 5000)
    first = ephemeral.position
    await ephemeral.set_typing(OTHER, ALICE, START + 5000)
    assert before < first < ephemeral.position
    assert set(ephemeral.typing_changed_since(before, {ROOM, OTHER})) == {ROOM, OTHER}
    assert ephemeral.typing_changed_since(before, {ROOM, OTHER}, upto=first) == [ROOM]
    assert ephemeral.typing_changed_since(before, {ROOM}) == [ROOM]
    assert ephemeral.typing_changed_since(first, {ROOM, OTHER}) == [OTHER]
    assert ephemeral.typing_changed_since(ephemeral.position, {ROOM, OTHER}) == []


async def test_ceasing_what_nobody_does_changes_nothing(ephemeral: Ephemeral) -> None:
    before = ephemeral.position
    await ephemeral.set_typing(ROOM, ALICE, None)
    assert ephemeral.position == before


async def test_typing_ends_by_itself_and_wakes(ephemeral: Ephemeral, clock: JumpingClock) -> None:
    waiter = Waiter(ephemeral)
    await ephemeral.set_typing(ROOM, ALICE, START + 5000)
    await waiter.hears(topics.typing(ROOM))
    await ephemeral.set_typing(ROOM, BOB, START + 3000)
    await waiter.hears(topics.typing(ROOM))
    position = ephemeral.position
    await clock.jump(3000)
    await waiter.hears(topics.typing(ROOM))
    assert ephemeral.typing(ROOM) == (ALICE,)
    assert ephemeral.typing_changed_since(position, {ROOM}) == [ROOM]
    await clock.jump(2000)
    await waiter.hears(topics.typing(ROOM))
    assert ephemeral.typing(ROOM) == ()


async def test_typing_on_is_not_ended_by_the_first_timeout(ephemeral: Ephemeral, clock: JumpingClock) -> None:
    waiter = Waiter(ephemeral)
    await ephemeral.set_typing(ROOM, ALICE, START + 3000)
    await ephemeral.set_typing(ROOM, ALICE, START + 9000)
    await ephemeral.set_typing(OTHER, BOB, START + 4000)
    await clock.jump(4000)
    await waiter.hears(topics.typing(OTHER))  # set
    await waiter.hears(topics.typing(OTHER))  # ended: so the older timeout has passed too
    assert ephemeral.typing(ROOM) == (ALICE,)


async def test_presence_is_a_change_only_when_it_looks_different(ephemeral: Ephemeral) -> None:
    waiter = Waiter(ephemeral)
    assert ephemeral.presence(ALICE) is None
    await ephemeral.set_presence(ALICE, ONLINE)
    assert ephemeral.presence(ALICE) == ONLINE
    await waiter.hears(topics.presence(ALICE))

    position = ephemeral.position
    later = replace(ONLINE, last_active=START + 1000, last_seen=START + 2000)
    await ephemeral.set_presence(ALICE, later)
    assert ephemeral.presence(ALICE) == later
    assert ephemeral.presence_changed_since(position, {ALICE, BOB}) == []

    for status in ("", "out \u2615", None):
        position = ephemeral.position
        changed = replace(later, presence="unavailable", status_msg=status)
        await ephemeral.set_presence(ALICE, changed)
        assert ephemeral.presence(ALICE) == changed
        assert ephemeral.presence_changed_since(position, {ALICE, BOB}) == [ALICE]
        await waiter.hears(topics.presence(ALICE))
    assert waiter.heard == []


async def test_who_is_not_heard_of_is_idle_and_then_offline(
    ephemeral: Ephemeral, clock: JumpingClock
) -> None:
    waiter = Waiter(ephemeral)
    await ephemeral.set_presence(ALICE, replace(ONLINE, last_seen=START + IDLE_AFTER))
    await waiter.hears(topics.presence(ALICE))
    await clock.jump(IDLE_AFTER)
    await waiter.hears(topics.presence(ALICE))
    idle = PresenceState("unavailable", START, START + IDLE_AFTER)
    assert ephemeral.presence(ALICE) == idle
    await clock.jump(OFFLINE_AFTER)
    await waiter.hears(topics.presence(ALICE))
    assert ephemeral.presence(ALICE) == replace(idle, presence="offline")


async def test_processes_see_the_same_with_the_same_numbers(
    two: tuple[RedisEphemeral, RedisEphemeral],
) -> None:
    a, b = two
    waiter = Waiter(b)
    await a.set_typing(ROOM, ALICE, START + 5000)
    await waiter.hears(topics.typing(ROOM))
    await b.set_typing(ROOM, BOB, START + 5000)
    await a.set_presence(ALICE, ONLINE)
    await waiter.hears(topics.presence(ALICE))
    assert (a.typing(ROOM), b.typing(ROOM)) == ((ALICE, BOB), (ALICE, BOB))
    assert b.presence(ALICE) == ONLINE
    assert a.position == b.position


async def test_writers_at_the_same_time_lose_nothing(two: tuple[RedisEphemeral, RedisEphemeral]) -> None:
    users = [f"@user{n}:one" for n in range(40)]
    await asyncio.gather(*(two[n % 2].set_typing(ROOM, u, START + 5000) for n, u in enumerate(users)))
    await two[0].set_typing(OTHER, ALICE, START + 5000)
    await two[1].set_typing(OTHER, BOB, START + 5000)
    assert two[0].typing(ROOM) == two[1].typing(ROOM) == tuple(sorted(users))


async def test_a_new_process_takes_over_what_the_others_have(
    two: tuple[RedisEphemeral, RedisEphemeral], corner: Corner, clock: JumpingClock
) -> None:
    a, _ = two
    before = a.position
    await a.set_typing(ROOM, ALICE, START + 5000)
    await a.set_presence(ALICE, ONLINE)
    await a.set_presence(ALICE, replace(ONLINE, last_seen=START + 1))
    c = RedisEphemeral(corner("c"), clock)
    await c.start()
    assert c.typing(ROOM) == (ALICE,)
    assert c.presence(ALICE) == replace(ONLINE, last_seen=START + 1)
    assert c.position == a.position
    assert c.presence_changed_since(before + 1, {ALICE}) == [ALICE]
    assert c.presence_changed_since(before + 2, {ALICE}) == []
    await c.stop()


async def test_a_dead_process_typing_is_ended_by_another(
    two: tuple[RedisEphemeral, RedisEphemeral], clock: JumpingClock
) -> None:
    a, b = two
    waiter = Waiter(b)
    await a.set_typing(ROOM, ALICE, START + 5000)
    await waiter.hears(topics.typing(ROOM))
    await a.stop()
    await clock.jump(5000)
    assert b.typing(ROOM) == ()
    await clock.jump(5000)
    await waiter.hears(topics.typing(ROOM))


async def test_what_was_missed_while_the_connection_was_broken_is_caught_up(
    two: tuple[RedisEphemeral, RedisEphemeral], redis_url: str, corner: Corner
) -> None:
    a, b = two
    waiter = Waiter(b)
    await a.set_typing(ROOM, ALICE, START + 5000)
    await waiter.hears(topics.typing(ROOM))
    since = b.position
    await b._channel.stop()
    await a.set_typing(ROOM, ALICE, None)
    await a.set_typing(OTHER, BOB, START + 5000)
    await b._channel.start()
    assert b.typing(ROOM) == ()
    assert b.typing(OTHER) == (BOB,)
    assert set(b.typing_changed_since(since, {ROOM, OTHER})) == {ROOM, OTHER}
    assert set(waiter.heard) == {topics.typing(ROOM), topics.typing(OTHER)}


async def test_without_redis_a_process_goes_on_alone_and_never_backwards(
    corner: Corner, clock: JumpingClock, redis_url: str, reported: Reported
) -> None:
    a = RedisEphemeral(corner("a"), clock)
    async with Redis.from_url(redis_url) as admin:
        await admin.execute_command("ACL", "SETUSER", "default", "-evalsha", "-eval", "-script")
        for until in range(START + 1, START + 9):
            await a.set_typing(ROOM, ALICE, until)
        await a.set_presence(BOB, ONLINE)
        alone = a.position
        assert alone == START + 9
        assert a.presence(BOB) == ONLINE
        await admin.execute_command("ACL", "SETUSER", "default", "+evalsha", "+eval", "+script")
    assert reported.what
    await a.start()
    await a.set_typing(OTHER, ALICE, START + 5000)
    assert a.position > alone
    await a.stop()


async def test_hashes_in_redis_are_bounded(
    corner: Corner, clock: JumpingClock, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.redis.shared_ephemeral.MAX_ROOMS", 10)
    a = RedisEphemeral(corner("a"), clock)
    await a.start()
    for n in range(25):
        await a.set_typing(f"!{n}:one", ALICE, START + 5000)
    async with Redis.from_url(redis_url) as admin:
        rooms = {key.decode() for key in await admin.hkeys("hearth:test:ephemeral:typing")}
    assert len(rooms) <= 10
    assert "!24:one" in rooms
    await a.stop()


def test_a_replica_forgets_the_oldest_half(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replica_module, "MAX_ROOMS", 10)
    replica = Replica(0)
    for n in range(1, 12):
        replica.set_typing(n, f"!{n}", {ALICE: 100})
    assert replica.typing_changed_since(0, {f"!{n}" for n in range(12)}, None) == [
        f"!{n}" for n in range(11, 5, -1)
    ]


def test_old_and_doubled_messages_change_nothing() -> None:
    replica = Replica(0)
    replica.set_typing(5, ROOM, {ALICE: 100})
    replica.set_typing(5, ROOM, {})
    replica.set_typing(4, ROOM, {})
    assert replica.typing(ROOM, 50) == (ALICE,)


def test_a_loaded_copy_never_makes_the_counter_go_backwards() -> None:
    replica = Replica(10)
    replica.set_typing(11, ROOM, {ALICE: 100})
    replica.load(7, {OTHER: TypingRoom(3, {BOB: 100})}, {})
    assert replica.position == 11
    assert set(replica.typing_changed_since(10, {ROOM, OTHER}, None)) == {ROOM, OTHER}
