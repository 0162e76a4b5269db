"""A send in a room of 10, 1,000 and 5,000 local members: the cost must not grow with the room."""

from __future__ import annotations

from typing import Any

from benchmarks import scenes
from benchmarks.measure import HEADER, Cost, measure
from benchmarks.peers import Server, hearth, synapse


async def _costs(server: Server, sizes: list[int], operations: int) -> dict[int, Cost]:
    people = await scenes.users(server, max(sizes))
    costs = {}
    for size in sizes:
        room = await scenes.room(people[0], people[1:size])
        await scenes.say(people[0], room)
        costs[size] = await measure(
            server, operations, 10, lambda me, n, room=room: scenes.say(people[me], room)
        )
        print(costs[size].row(f"{server.name}, {size} members"))
    return costs


async def run(peer: bool, scale: float) -> dict[str, Any]:
    """Prints the table and returns the figures."""
    print(HEADER)
    sizes = [10, max(20, int(1000 * scale)), max(30, int(5000 * scale))]
    async with hearth() as server:
        ours = await _costs(server, sizes, 3000)
    figures: dict[str, Any] = {str(size): cost.figures() for size, cost in ours.items()}
    figures["largest_over_smallest"] = round(ours[sizes[-1]].cpu.total / ours[10].cpu.total, 2)
    if peer:
        async with synapse() as server:
            theirs = await _costs(server, [10, max(20, int(300 * scale))], 100)
        figures["synapse"] = {str(size): cost.figures() for size, cost in theirs.items()}
    return figures
