"""The first /sync of a user in 100 rooms of 50 messages and 20 members, and one with nothing new."""

from __future__ import annotations

from typing import Any

from benchmarks import scenes
from benchmarks.measure import HEADER, Cost, measure
from benchmarks.peers import Server, hearth, synapse


async def _costs(server: Server, rooms: int, repeats: int) -> tuple[Cost, Cost]:
    people = await scenes.users(server, 20)
    for _ in range(rooms):
        room = await scenes.room(people[0], people[1:])
        for number in range(50):
            await scenes.say(people[number % 20], room)
    path = "/_matrix/client/v3/sync?timeout=0"
    reply = await people[0].ok("GET", path)
    assert len(reply["rooms"]["join"]) == rooms
    first = await measure(server, repeats, 1, lambda me, n: people[1 + n % 19].ok("GET", path))
    since = f"{path}&since={reply['next_batch']}"
    nothing = await measure(server, repeats * 50, 1, lambda me, n: people[0].ok("GET", since))
    print(
        first.row(f"{server.name}, first, {rooms} rooms"),
        nothing.row(f"{server.name}, nothing new"),
        sep="\n",
    )
    return first, nothing


async def run(peer: bool, scale: float) -> dict[str, Any]:
    """Prints the table and returns the figures."""
    print(HEADER)
    async with hearth() as server:
        first, nothing = await _costs(server, int(100 * scale), 40)
    figures: dict[str, Any] = {"hearth": {"first": first.figures(), "nothing_new": nothing.figures()}}
    if peer:
        async with synapse() as server:
            first, nothing = await _costs(server, max(1, int(20 * scale)), 10)
        figures["synapse_with_a_fifth_of_the_rooms"] = {
            "first": first.figures(),
            "nothing_new": nothing.figures(),
        }
    return figures
