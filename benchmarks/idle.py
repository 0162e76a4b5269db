"""A first start on an empty folder; memory of the idle server, and of each client that waits in /sync."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import quote

from benchmarks import scenes
from benchmarks.http import Connection
from benchmarks.measure import gather_bounded
from benchmarks.peers import Server, hearth, synapse
from benchmarks.process import rss_kib

# Small replies, so that what memory they took is not mistaken for that of the waiting; and no news of others' presence.
_FILTER = quote('{"room":{"timeline":{"limit":1},"state":{"lazy_load_members":true}}}')
_FIRST = f"/_matrix/client/v3/sync?timeout=0&set_presence=offline&filter={_FILTER}"


async def _measure(server: Server, count: int) -> dict[str, float]:
    idle = rss_kib(server.process.pid)
    people = await scenes.users(server, count)
    room = await scenes.room(people[0], people[1:])
    await scenes.say(people[0], room)
    replies = await gather_bounded(count, 8, lambda n: people[n].ok("GET", _FIRST))
    for person in people:
        person.close()
    await asyncio.sleep(1)
    before = rss_kib(server.process.pid)
    path = "/_matrix/client/v3/sync?timeout=30000&set_presence=offline&since="
    waiting = [
        asyncio.create_task(person.ok("GET", path + reply["next_batch"]))  # type: ignore[index]
        for person, reply in zip(people, replies, strict=True)
    ]
    await asyncio.sleep(8)
    assert not any(task.done() for task in waiting)
    each = (rss_kib(server.process.pid) - before) / count
    await scenes.say(Connection(server.port, people[0].token), room)
    await asyncio.gather(*waiting)
    figures = {"first_answer_s": round(server.first_answer, 2), "idle_rss_mib": round(idle / 1024, 1)}
    figures |= {"waiting": count, "kib_each": round(each, 2)}
    print(f"{server.name:<12}" + "".join(f"{value:>16}" for value in figures.values()))
    return figures


async def run(peer: bool, scale: float) -> dict[str, Any]:
    """Prints the table and returns the figures."""
    print(f"{'server':<12}{'first answer, s':>16}{'idle RSS, MiB':>16}{'waiting':>16}{'KiB each':>16}")
    async with hearth() as server:
        figures: dict[str, Any] = {"hearth": await _measure(server, int(1000 * scale))}
    if peer:
        async with synapse() as server:
            figures["synapse"] = await _measure(server, int(200 * scale))
    return figures
