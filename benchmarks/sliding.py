"""Sliding sync of a user in 2,000 rooms: the first request, one with nothing new, and one with a message."""

from __future__ import annotations

from typing import Any

from benchmarks import scenes
from benchmarks.measure import HEADER, Cost, measure
from benchmarks.peers import Server, hearth

PATH = "/_matrix/client/unstable/org.matrix.simplified_msc3575/sync"
STATE = [["m.room.member", "$LAZY"], ["m.room.member", "$ME"], ["m.room.name", ""], ["m.room.encryption", ""]]


def _body(last: int) -> dict[str, Any]:
    extensions = {n: {"enabled": True} for n in ("to_device", "e2ee", "account_data", "receipts", "typing")}
    one = {"timeline_limit": 1, "required_state": STATE, "ranges": [[0, last]]}
    return {"lists": {"all_rooms": one}, "extensions": extensions, "conn_id": "room-list"}


async def _costs(server: Server, rooms: int, repeats: int) -> dict[str, Cost]:
    me, other = await scenes.users(server, 2)
    made = [await scenes.room(other, [me]) for _ in range(rooms)]
    first = await measure(server, repeats, 1, lambda _, n: me.ok("POST", f"{PATH}?timeout=0", _body(19)))
    state: dict[str, Any] = {"body": _body(rooms), "pos": None}

    async def goes_on() -> dict[str, Any]:
        query = f"?timeout=0&pos={state['pos']}" if state["pos"] else "?timeout=0"
        reply: dict[str, Any] = await me.ok("POST", PATH + query, state["body"])
        state["pos"] = reply["pos"]
        since = reply["extensions"]["to_device"]["next_batch"]
        state["body"]["extensions"]["to_device"]["since"] = since
        return reply

    assert len((await goes_on())["rooms"]) == rooms
    await goes_on()
    nothing = await measure(server, repeats * 20, 1, lambda _, n: goes_on())

    async def message(number: int) -> None:
        await scenes.say(other, made[number % rooms])
        assert len((await goes_on())["rooms"]) == 1

    one = await measure(server, repeats * 5, 1, lambda _, n: message(n))
    return {"first 20 rooms": first, "nothing new": nothing, "send and one message": one}


async def run(peer: bool, scale: float) -> dict[str, Any]:
    """Prints the table and returns the figures."""
    rooms = int(2000 * scale)
    print(HEADER)
    async with hearth() as server:
        costs = await _costs(server, rooms, 10)
    for name, cost in costs.items():
        print(cost.row(f"{name}, {rooms} rooms"))
    return {"rooms": rooms, "hearth": {name: cost.figures() for name, cost in costs.items()}}
