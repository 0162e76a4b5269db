"""Wake-ups between processes over a real Redis, and the twin that has nobody to tell."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from storage.journal import Note
from storage.redis.shared_wakeups import RedisWakeups
from storage.redis.wakeups import LocalWakeups, Wakeups
from tests.storage.redis.conftest import Corner, Reported

NOTES = [Note(n, n, (f"e!room{n}:one", "r!é:one")) for n in range(1, 300)]


class Heard:
    """What a process hears; `await heard.until(n)` for the n-th note."""

    def __init__(self, wakeups: Wakeups) -> None:
        self.notes: list[Note] = []
        self.lost = 0
        self._news = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()
        wakeups.subscribe(self._arrived, self._lost)

    def _arrived(self, note: Note) -> None:
        self.notes.append(note)
        self._tell()

    def _lost(self) -> None:
        self.lost += 1
        self._tell()

    def _tell(self) -> None:
        task = asyncio.create_task(self._notify())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _notify(self) -> None:
        async with self._news:
            self._news.notify_all()

    async def until(self, notes: int, lost: int = 0) -> None:
        async with self._news:
            wanted = self._news.wait_for(lambda: len(self.notes) >= notes and self.lost >= lost)
            await asyncio.wait_for(wanted, 10)


@pytest.fixture
async def two(corner: Corner) -> AsyncIterator[tuple[RedisWakeups, RedisWakeups]]:
    a, b = RedisWakeups(corner("a")), RedisWakeups(corner("b"))
    await a.start()
    await b.start()
    yield a, b
    await a.stop()
    await b.stop()


@pytest.fixture(params=["local", "redis"])
async def wakeups(request: pytest.FixtureRequest, corner: Corner) -> AsyncIterator[Wakeups]:
    if request.param == "local":
        wakeups: Wakeups = LocalWakeups()
    else:
        wakeups = RedisWakeups(corner("a"))
    await wakeups.start()
    yield wakeups
    await wakeups.stop()


async def test_nobody_hears_their_own_notes(wakeups: Wakeups) -> None:
    heard = Heard(wakeups)
    for note in NOTES[:3]:
        await wakeups.publish(note)
    await wakeups.stop()
    assert heard.notes == []


async def test_others_hear_all_notes_in_order(two: tuple[RedisWakeups, RedisWakeups]) -> None:
    a, b = two
    heard_a, heard_b = Heard(a), Heard(b)
    for note in NOTES:
        await a.publish(note)
    await b.publish(NOTES[0])
    await heard_b.until(len(NOTES))
    await heard_a.until(1)
    assert heard_b.notes == NOTES
    assert heard_a.notes == NOTES[:1]


async def test_tenants_do_not_hear_each_other(redis_url: str, corner: Corner) -> None:
    ours = corner("a")
    theirs = type(ours)(ours.commands, ours.listening, "other", "b", ours.report)
    a, stranger, friend = RedisWakeups(ours), RedisWakeups(theirs), RedisWakeups(corner("c"))
    for one in (a, stranger, friend):
        await one.start()
    heard = Heard(a)
    await stranger.publish(NOTES[0])
    await stranger.stop()
    await friend.publish(NOTES[1])
    await heard.until(1)
    assert heard.notes == [NOTES[1]]
    await a.stop()
    await friend.stop()


async def test_a_broken_connection_is_made_again_and_told(
    two: tuple[RedisWakeups, RedisWakeups], redis_url: str, reported: Reported
) -> None:
    a, b = two
    heard = Heard(b)
    async with Redis.from_url(redis_url) as admin:
        await admin.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
    await heard.until(0, lost=2)  # when it broke, and when it was there again
    await a.publish(NOTES[0])
    await heard.until(1)
    assert heard.notes == [NOTES[0]]
    assert any("b: redis" in what for what in reported.what)


async def test_who_could_not_publish_has_the_others_look(
    two: tuple[RedisWakeups, RedisWakeups], redis_url: str, reported: Reported
) -> None:
    a, b = two
    heard = Heard(b)
    async with Redis.from_url(redis_url) as admin:
        await admin.execute_command("ACL", "SETUSER", "default", "-publish")
        await a.publish(NOTES[0])
        await asyncio.wait_for(reported.news.wait(), 10)
        await admin.execute_command("ACL", "SETUSER", "default", "+publish")
    await heard.until(0, lost=1)
    assert heard.notes == []
