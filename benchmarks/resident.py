"""A server that has a room of very many members, and answers what one who joins it asks for; a process of its own.

`python -m benchmarks.resident CERTIFICATE KEY AUTHORITY MEMBERS whole|partial` prints its name and the room's ID.
"""

from __future__ import annotations

import asyncio
import ssl
import sys
from typing import Any
from urllib.parse import unquote

import orjson
from aiohttp import web

from protocol.events import MEMBER, Event
from tests.federation.lying_room import FEDERATION, LyingRoom
from tests.fixtures.lying_server import Asked, LyingServer


def _filled(server: LyingServer, members: int) -> LyingRoom:
    """The room; the last event is no member's."""
    room = LyingRoom(server)
    for number in range(members):
        user_id = f"@member{number}:{server.name}"
        content = {
            "membership": "join",
            "displayname": f"Member {number}",
            "avatar_url": f"mxc://example.org/picture{number}",
        }
        event = room.draft(MEMBER, content, user_id, user_id)
        room.events[event.event_id] = room.state[event.key] = room.latest = event
    room.put("m.room.topic", {"topic": "everybody is here"}, "")
    return room


def _answer(said: bytes) -> web.Response:
    return web.Response(body=said, content_type="application/json")


def _serve(room: LyingRoom, is_whole: bool) -> None:
    """Scripts the answers; the large ones are made before they are asked for."""
    before = [event for event in room.state.values() if event is not room.latest]
    chain = [event for event in room.events.values() if event.is_state]
    few = [event for event in room.state.values() if event.type != MEMBER]
    its = [room.state[MEMBER, room.liar]]

    def json(events: list[Event]) -> list[Any]:
        return [event.json for event in events]

    state = orjson.dumps({"pdus": json(before), "auth_chain": json(its)})
    ids = orjson.dumps(
        {"pdu_ids": [e.event_id for e in before], "auth_chain_ids": [e.event_id for e in chain[:4]]}
    )
    shown = {"state": json(list(room.state.values())), "auth_chain": json(its), "members_omitted": False}
    if not is_whole:
        servers = [room.server.name]
        shown = {
            "state": json(few),
            "auth_chain": json(its),
            "members_omitted": True,
            "servers_in_room": servers,
        }
    joined = orjson.dumps(shown)
    room.opens()
    room.server.on("PUT", f"{FEDERATION}/v2/send_join/", lambda _: _answer(joined))
    room.server.on("PUT", f"{FEDERATION}/v1/send/", lambda _: {"pdus": {}})
    room.server.on("GET", f"{FEDERATION}/v1/state_ids/", lambda _: _answer(ids))
    room.server.on("GET", f"{FEDERATION}/v1/state/", lambda _: _answer(state))

    def event(asked: Asked) -> Any:
        found = next(one for one in chain if one.event_id == unquote(asked.path.rsplit("/", 1)[1]))
        return {"origin": room.server.name, "origin_server_ts": 1, "pdus": [found.json]}

    room.server.on("GET", f"{FEDERATION}/v1/event/", event)


async def _main(certificate: str, key: str, authority: str, members: int, is_whole: bool) -> None:
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate, key)
    async with LyingServer(tls, ssl.create_default_context(cafile=authority)) as server:
        room = _filled(server, members)
        _serve(room, is_whole)
        print(server.name, room.id, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:4], int(sys.argv[4]), sys.argv[5] == "whole"))
