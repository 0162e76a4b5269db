"""Bytes on disk: of a plain message, and of a room with 20,000 joins and 20,000 messages."""

from __future__ import annotations

from typing import Any

import asyncpg

from benchmarks import scenes
from benchmarks.http import Connection
from benchmarks.measure import gather_bounded
from benchmarks.peers import Server, hearth

_SIZES = """
    SELECT c.relname, pg_total_relation_size(c.oid) AS size FROM pg_class c
    WHERE c.relkind = 'r' AND c.relnamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
"""


async def _sizes(server: Server) -> dict[str, int]:
    connection = await asyncpg.connect(**server.database())
    try:
        return {row["relname"]: row["size"] for row in await connection.fetch(_SIZES)}
    finally:
        await connection.close()


async def _alone(user: Connection, path: str) -> None:
    """A request on a connection of its own: more users take part than files may be open."""
    await user.ok("POST", path, {})
    user.close()


async def _says(user: Connection, room: str) -> None:
    await scenes.say(user, room)
    user.close()


async def run(peer: bool, scale: float) -> dict[str, Any]:
    """Prints the table and returns the figures."""
    count = int(20_000 * scale)
    async with hearth() as server:
        people = await scenes.users(server, count, 32)
        empty = await _sizes(server)
        room = await scenes.room(people[0], [])
        await gather_bounded(
            count - 1, 32, lambda n: _alone(people[n + 1], f"/_matrix/client/v3/rooms/{room}/join")
        )
        joined = await _sizes(server)
        await gather_bounded(count, 32, lambda n: _says(people[n], room))
        full = await _sizes(server)
    print(f"{'table':<28}{'joins, KiB':>14}{'messages, KiB':>16}")
    for name in sorted(full, key=lambda name: empty[name] - full[name]):
        if full[name] > empty[name]:
            print(
                f"{name:<28}{(joined[name] - empty[name]) // 1024:>14}{(full[name] - joined[name]) // 1024:>16}"
            )
    message = (sum(full.values()) - sum(joined.values())) / count
    whole = (sum(full.values()) - sum(empty.values())) / 1024 / 1024
    print(f"a message: {message:.0f} bytes; the room: {whole:.1f} MiB")
    return {"bytes_per_message": round(message), "room_mib": round(whole, 1), "joins_and_messages": count}
