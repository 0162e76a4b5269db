"""Two servers of one kind, over TLS: latency, CPU and rate of messages between them, and joining rooms of 100 and 2,000."""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from benchmarks import scenes
from benchmarks.http import Connection
from benchmarks.peers import Server, Tls, free_port, hearth, synapse
from benchmarks.process import Cpu
from tests.fixtures.certificates import Authority

Start = Callable[..., AbstractAsyncContextManager[Server]]

CLIENTS = 40
SETTLED = 0.5
"""Seconds of rest after which all work of a measurement has been done."""
_FILTER = quote('{"room":{"timeline":{"limit":1000}}}')
_V3 = "/_matrix/client/v3"


@dataclass(slots=True)
class Pair:
    """Two servers that reach each other; rooms are made at the first."""

    one: Server
    two: Server
    name: str
    """The first one's server name."""

    def cpu(self) -> Cpu:
        """What both and their databases have used."""
        one, two = self.one.cpu(), self.two.cpu()
        return Cpu(one.server + two.server, one.postgres + two.postgres)

    async def enter(self, user: Connection, room_id: str) -> None:
        """A user of the second server joins."""
        await user.ok("POST", f"{_V3}/join/{room_id}?via={self.name}&server_name={self.name}", {})


class Reader:
    """A user who waits at /sync for what is said in a room."""

    def __init__(self, user: Connection, room_id: str) -> None:
        self._user = user
        self._room = room_id
        self._since = ""

    async def sync(self, timeout: int = 0) -> set[str]:
        """The IDs of the events that have come."""
        since = f"&since={self._since}" if self._since else ""
        path = f"{_V3}/sync?timeout={timeout}&set_presence=offline&filter={_FILTER}{since}"
        reply = await self._user.ok("GET", path)
        self._since = reply["next_batch"]
        room = reply.get("rooms", {}).get("join", {}).get(self._room, {})
        return {event["event_id"] for event in room.get("timeline", {}).get("events", [])}

    async def waits_for(self, sent: asyncio.Task[str]) -> float:
        """When the event came."""
        seen: set[str] = set()
        async with asyncio.timeout(120):
            while True:
                seen |= await self.sync(30_000)
                now = time.perf_counter()
                if (await sent) in seen:
                    return now


@asynccontextmanager
async def _pair(start: Start) -> AsyncIterator[Pair]:
    with tempfile.TemporaryDirectory(prefix="federation-bench-") as name:
        Path(name).chmod(0o755)
        authority = Authority(Path(name))
        tls: list[Tls] = []
        for _ in range(2):
            issued = authority.issue("localhost", "127.0.0.1")
            tls.append(Tls(free_port(), issued.certificate, issued.key, authority.file))
        async with start(tls=tls[0]) as one, start(tls=tls[1]) as two:
            yield Pair(one, two, f"localhost:{tls[0].port}")


async def _latency(pair: Pair, alice: Connection, reader: Reader, room: str, count: int) -> dict[str, float]:
    """One message after the other, from the request until the other server's user has it."""
    took: list[float] = []
    await reader.sync()
    before = pair.cpu()
    for _ in range(count):
        began = time.perf_counter()
        sent = asyncio.create_task(scenes.say(alice, room))
        took.append((await reader.waits_for(sent) - began) * 1000)
    await asyncio.sleep(SETTLED)
    cpu = (pair.cpu() - before).per(count)
    return {
        "latency_ms": round(statistics.median(took), 2),
        "latency_p95_ms": round(sorted(took)[int(len(took) * 0.95)], 2),
        "message_cpu_ms": round(cpu.total, 2),
    }


async def _burst(
    pair: Pair, speakers: list[Connection], reader: Reader, room: str, count: int
) -> dict[str, float]:
    """Many at once; done when the other server's user has the last."""
    numbers = iter(range(count))

    async def speaks(who: Connection) -> None:
        for _ in numbers:
            await scenes.say(who, room)

    await reader.sync()
    before, began = pair.cpu(), time.perf_counter()
    await asyncio.gather(*map(speaks, speakers))
    end = await reader.waits_for(asyncio.create_task(scenes.say(speakers[0], room)))
    await asyncio.sleep(SETTLED)
    cpu = (pair.cpu() - before).per(count + 1)
    return {
        "burst_per_second": round((count + 1) / (end - began), 1),
        "burst_cpu_ms": round(cpu.total, 2),
        "burst_postgres_ms": round(cpu.postgres, 2),
    }


async def _join(pair: Pair, room: str, members: int) -> dict[str, float]:
    """A user of the second server joins, speaks, and asks who is there."""
    user = await pair.two.user()
    before, began = pair.cpu(), time.perf_counter()
    await pair.enter(user, room)
    joined = time.perf_counter()
    await scenes.say(user, room)
    talked = time.perf_counter()
    there: dict[str, Any] = {}
    while len(there) <= members:
        there = (await user.ok("GET", f"{_V3}/rooms/{room}/joined_members"))["joined"]
    whole = time.perf_counter()
    await asyncio.sleep(SETTLED)
    return {
        "cpu_ms": round((pair.cpu() - before).total, 1),
        "join_ms": round((joined - began) * 1000, 1),
        "talk_ms": round((talked - began) * 1000, 1),
        "whole_ms": round((whole - began) * 1000, 1),
    }


async def _joins(pair: Pair, members: int, times: int) -> dict[str, float]:
    """The medians over some rooms."""
    people = await scenes.users(pair.one, members)
    joins = [await _join(pair, await scenes.room(people[0], people[1:]), members) for _ in range(times)]
    for user in people:
        user.close()
    figures = {key: statistics.median(join[key] for join in joins) for key in joins[0]}
    return {f"join_{members}_{key}": value for key, value in figures.items()}


async def _figures(start: Start, scale: float, slower: int) -> dict[str, float]:
    async with _pair(start) as pair:
        alice, bob = await pair.one.user(), await pair.two.user()
        room = await scenes.room(alice, [])
        await pair.enter(bob, room)
        reader = Reader(bob, room.replace("%21", "!").replace("%3A", ":"))
        speakers = [Connection(pair.one.port, alice.token) for _ in range(CLIENTS)]
        await _burst(pair, speakers, reader, room, 2 * CLIENTS)
        figures = await _latency(pair, alice, reader, room, int(200 * scale / slower) + 10)
        figures |= await _burst(pair, speakers, reader, room, int(4000 * scale / slower) + 10)
        for members, times in ((100, 3), (int(2000 * scale), 1)):
            figures |= await _joins(pair, members, times)
        return figures


async def run(peer: bool, scale: float) -> dict[str, Any]:
    """Prints the table and returns the figures."""
    figures: dict[str, Any] = {"hearth": await _figures(hearth, scale, 1)}
    if peer:
        figures["synapse"] = await _figures(synapse, scale, 10)
    names = list(figures)
    print(f"{'':<24}", *(f"{name:>12}" for name in names))
    for key in figures["hearth"]:
        print(f"{key:<24}", *(f"{figures[name].get(key, 0):>12.2f}" for name in names))
    return figures
