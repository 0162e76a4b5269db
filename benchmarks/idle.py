"""Memory: of the idle server, and of each client that waits in /sync."""

from __future__ import annotations

import asyncio
from typing import Any

from benchmarks import scenes
from benchmarks.measure import gather_bounded
from benchmarks.peers import Server, hearth, synapse
from benchmarks.process import rss_kib


async def _measure(server: Server, count: int) -> dict[str, float]:
    idle = rss_kib(server.process.pid)
    people = await scenes.users(server, count)
    room = await scenes.room(people[0], people[1:])
    await scenes.say(people[0], room)
    replies = await gather_bounded(
        count, 8, lambda n: people[n].ok("GET", "/_matrix/client/v3/sync?timeout=0")
    )
    for person in people:
        person.close()
    await asyncio.sleep(1)
    before = rss_kib(server.process.pid)
    path = "/_matrix/client/v3/sync?timeout=30000&since="
    waiting = [
        asyncio.create_task(person.ok("GET", path + reply["next_batch"]))  # type: ignore[index]
        for person, reply in zip(people, replies, strict=True)
    ]
    await asyncio.sleep(8)
    each = (rss_kib(server.process.pid) - before) / count
    await scenes.say(people[0], room)
    await asyncio.gather(*waiting)
    figures = {"idle_rss_mib": round(idle / 1024, 1), "waiting": count, "kib_each": round(each, 2)}
    print(f"{server.name:<12}{figures['idle_rss_mib']:>16}{count:>10}{figures['kib_each']:>18}")
    return figures


async def run(peer: bool, scale: float) -> dict[str, Any]:
    """Prints the table and returns the figures."""
    print(f"{'server':<12}{'idle RSS, MiB':>16}{'waiting':>10}{'KiB each':>18}")
    async with hearth() as server:
        figures: dict[str, Any] = {"hearth": await _measure(server, int(1000 * scale))}
    if peer:
        async with synapse() as server:
            figures["synapse"] = await _measure(server, int(200 * scale))
    return figures
