"""What the benchmarks need before they measure: users in rooms with something said."""

from __future__ import annotations

import itertools
from urllib.parse import quote

from benchmarks.http import Connection
from benchmarks.measure import gather_bounded
from benchmarks.peers import Server

_number = itertools.count()


async def users(server: Server, count: int, parallel: int = 8) -> list[Connection]:
    """So many new accounts, logged in."""

    async def make(_: int) -> Connection:
        user = await server.user()
        user.close()  # the next request opens it again: there may be more users than files
        return user

    made = await gather_bounded(count, parallel, make)
    return [user for user in made if isinstance(user, Connection)]


async def room(creator: Connection, members: list[Connection], parallel: int = 8) -> str:
    """A public room that all of them are joined to; its ID, quoted for a path."""
    body = {"preset": "public_chat", "name": "a room"}
    room_id = quote((await creator.ok("POST", "/_matrix/client/v3/createRoom", body))["room_id"], safe="")
    await gather_bounded(
        len(members),
        parallel,
        lambda n: members[n].ok("POST", f"/_matrix/client/v3/rooms/{room_id}/join", {}),
    )
    return room_id


async def say(
    user: Connection, room_id: str, text: str = "Good morning, how are you? The train is late again today."
) -> str:
    """Sends a text; the event's ID."""
    path = f"/_matrix/client/v3/rooms/{room_id}/send/m.room.message/bench{next(_number)}"
    event_id: str = (await user.ok("PUT", path, {"msgtype": "m.text", "body": text}))["event_id"]
    return event_id
