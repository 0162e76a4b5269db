"""A durable send: 40 clients talk in 8 rooms of 10 members."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

from benchmarks import scenes
from benchmarks.http import Connection
from benchmarks.measure import HEADER, Cost, measure
from benchmarks.peers import Server, hearth, synapse

Start = Callable[[], AbstractAsyncContextManager[Server]]


async def _cost(start: Start, operations: int) -> tuple[Cost, Cost]:
    async with start() as server:
        people = await scenes.users(server, 10)
        rooms = [await scenes.room(people[0], people[1:]) for _ in range(8)]
        speakers = [Connection(server.port, people[n % 10].token) for n in range(40)]
        for room in rooms:
            await scenes.say(people[0], room)
        many = await measure(server, operations, 40, lambda me, n: scenes.say(speakers[me], rooms[me % 8]))
        one = await measure(server, operations // 10, 1, lambda me, n: scenes.say(speakers[me], rooms[0]))
        return many, one


async def run(peer: bool, scale: float) -> dict[str, Any]:
    """Prints the table and returns the figures."""
    ours, ours_alone = await _cost(hearth, int(10_000 * scale))
    print(HEADER, ours.row("hearth, 40 clients"), ours_alone.row("hearth, 1 client"), sep="\n")
    figures: dict[str, Any] = {"hearth": ours.figures(), "hearth_one_client": ours_alone.figures()}
    if peer:
        theirs, theirs_alone = await _cost(synapse, int(400 * scale) + 40)
        print(theirs.row("synapse, 40 clients"), theirs_alone.row("synapse, 1 client"), sep="\n")
        figures |= {"synapse": theirs.figures(), "synapse_one_client": theirs_alone.figures()}
        figures["synapse_over_hearth"] = round(theirs.cpu.total / ours.cpu.total, 1)
    return figures
