"""A send in a room of 10 and of 5,000 local members of whom some have pushers; and where many have rules of their own."""

from __future__ import annotations

import hashlib
import os
from typing import Any
from urllib.parse import quote

from aiohttp import web

from benchmarks import scenes
from benchmarks.http import Connection
from benchmarks.measure import HEADER, gather_bounded, measure
from benchmarks.peers import Server, free_port, hearth

PATH = "/_matrix/push/v1/notify"
SPEAKERS = 5
"""Others listen: who speaks has read what others said, and is not pushed it."""
RULE = "/_matrix/client/v3/pushrules/global"


class Gateway:
    """Counts what it is sent."""

    def __init__(self) -> None:
        self.url = f"http://127.0.0.1:{free_port()}{PATH}"
        self.pushes = 0

    async def start(self) -> web.AppRunner:
        """Listens."""
        app = web.Application()
        app.router.add_post(PATH, self._notify)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", int(self.url.split(":")[2].split("/")[0])).start()
        return runner

    async def _notify(self, request: web.Request) -> web.Response:
        await request.read()
        self.pushes += 1
        return web.json_response({"rejected": []})


async def _set_pusher(gateway: Gateway, user: Connection) -> None:
    body = {
        "app_id": "bench",
        "pushkey": hashlib.sha256(str(user.token).encode()).hexdigest(),
        "kind": "http",
        "app_display_name": "bench",
        "device_display_name": "bench",
        "lang": "en",
        "data": {"url": gateway.url, "format": "event_id_only"},
    }
    await user.ok("POST", "/_matrix/client/v3/pushers/set", body)


async def _say(
    server: Server, name: str, people: list[Connection], room: str, operations: int
) -> dict[str, Any]:
    await scenes.say(people[0], room)
    cost = await measure(server, operations, SPEAKERS, lambda me, _: scenes.say(people[me], room))
    print(cost.row(name))
    return cost.figures()


async def run(peer: bool, scale: float) -> dict[str, Any]:
    """Prints the table and returns the figures."""
    print(HEADER)
    gateway, large, operations = Gateway(), max(100, int(5000 * scale)), max(100, int(2000 * scale))
    runner = await gateway.start()
    figures: dict[str, Any] = {}
    try:
        os.environ["HEARTH_PUSH__PRIVATE_GATEWAYS"] = f'["{gateway.url}"]'
        async with hearth() as server:
            people = await scenes.users(server, large)
            for name, size in (("small", 10), ("large", large)):
                room = await scenes.room(people[0], people[1:size])
                figures[name] = await _say(server, f"{size} members, no pushers", people, room, operations)
                figures[f"{name}_room"] = room
            for user in people[SPEAKERS:10]:
                await _set_pusher(gateway, user)
            for name, size in (("small", 10), ("large", large)):
                before = gateway.pushes
                room = figures[f"{name}_room"]
                figures[f"{name}_pushers"] = await _say(
                    server, f"{size} members, 5 pushers", people, room, operations
                )
                figures[f"{name}_pushes"] = gateway.pushes - before
            await _with_rules(server, people, figures, operations)
    finally:
        await runner.cleanup()
    return figures


async def _with_rules(
    server: Server, people: list[Connection], figures: dict[str, Any], operations: int
) -> None:
    """A fifth of the members switch off what is there for rooms of two, then mute messages everywhere, then look out for one of
    fifty words, then switch all off: what is the same for many is judged once.
    """
    some = people[10 : 10 + len(people) // 5]
    room = figures["large_room"]
    one_to_one = f"{RULE}/underride/{quote('.m.rule.room_one_to_one')}/enabled"
    await gather_bounded(len(some), 8, lambda n: some[n].ok("PUT", one_to_one, {"enabled": False}))
    title = f"{len(some)} of them without the rule of two"
    figures["one_to_one_off"] = await _say(server, title, people, room, operations)
    muted = f"{RULE}/underride/{quote('.m.rule.message')}/actions"
    await gather_bounded(len(some), 8, lambda n: some[n].ok("PUT", muted, {"actions": []}))
    figures["messages_muted"] = await _say(
        server, f"{len(some)} of them mute messages", people, room, operations
    )
    await gather_bounded(
        len(some),
        8,
        lambda n: some[n].ok(
            "PUT", f"{RULE}/content/word", {"pattern": f"word{n % 50}", "actions": ["notify"]}
        ),
    )
    title = f"{len(some)} of them with 50 rulesets"
    figures["rulesets"] = await _say(server, title, people, room, operations)
    master = f"{RULE}/override/{quote('.m.rule.master')}/enabled"
    await gather_bounded(len(some), 8, lambda n: some[n].ok("PUT", master, {"enabled": True}))
    title = f"{len(some)} of them mute everything"
    figures["all_muted"] = await _say(server, title, people, room, operations)
