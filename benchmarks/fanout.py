"""One message to 1,000 waiting clients of one room: when the last has it, and what it costs."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

from benchmarks import scenes
from benchmarks.http import Connection
from benchmarks.peers import Server, hearth, synapse

MESSAGES = 5


async def _wait_for(user: Connection, since: str, body: str) -> tuple[float, str]:
    """Polls until the message is there; the time it came and the next token."""
    while True:
        reply = await user.ok("GET", f"/_matrix/client/v3/sync?timeout=60000&since={since}")
        since = reply["next_batch"]
        if body in json.dumps(reply):
            return time.perf_counter(), since


async def _measure(server: Server, count: int) -> dict[str, float]:
    people = await scenes.users(server, count)
    room = await scenes.room(people[0], people[1:])
    first = await asyncio.gather(*(user.ok("GET", "/_matrix/client/v3/sync?timeout=0") for user in people))
    tokens = [reply["next_batch"] for reply in first]
    speaker = Connection(server.port, people[0].token)
    last_ms, cpu = [], []
    for number in range(MESSAGES + 1):
        body = f"message number {number}"
        waiting = [asyncio.create_task(_wait_for(u, t, body)) for u, t in zip(people, tokens, strict=True)]
        await asyncio.sleep(1.5 if server.name == "hearth" else 6)  # until all are waiting; not measured
        before, began = server.cpu(), time.perf_counter()
        await scenes.say(speaker, room, body)
        arrived = await asyncio.gather(*waiting)
        tokens = [token for _, token in arrived]
        if number:  # the first one warms up
            last_ms.append((max(at for at, _ in arrived) - began) * 1000)
            cpu.append((server.cpu() - before).total / count)
    figures = {
        "clients": count,
        "last_ms": round(sorted(last_ms)[MESSAGES // 2], 1),
        "cpu_ms_each": round(sorted(cpu)[MESSAGES // 2], 3),
    }
    print(f"{server.name:<12}{figures['clients']:>8}{figures['last_ms']:>16}{figures['cpu_ms_each']:>18}")
    return figures


async def run(peer: bool, scale: float) -> dict[str, Any]:
    """Prints the table and returns the figures."""
    print(f"{'server':<12}{'clients':>8}{'last has it, ms':>16}{'CPU ms a client':>18}")
    async with hearth() as server:
        figures: dict[str, Any] = {"hearth": await _measure(server, int(1000 * scale))}
    if peer:
        async with synapse() as server:
            figures["synapse"] = await _measure(server, int(200 * scale))
    return figures
