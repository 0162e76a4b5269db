"""A room of Alice's, on a homeserver that federates, in which a user of a lying server is too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from protocol.events import Event
from protocol.ids import ServerName, UserID
from tests.client_api.stored import events_of
from tests.federation.stranger import Stranger, View, view_of_room
from tests.fixtures.client import Client
from tests.fixtures.federation import MakeFederated, MakeLying
from tests.fixtures.homeserver import Homeserver
from tests.fixtures.lying_server import LyingServer


@dataclass
class Scene:
    """`view` is the room's graph behind Eve's join."""

    one: Homeserver
    alice: Client
    liar: LyingServer
    stranger: Stranger
    eve: UserID
    view: View

    @property
    def room_id(self) -> str:
        """The room's ID."""
        return self.view.room_id

    async def now(self) -> View:
        """The room's graph as it is on the server."""
        return await view_of_room(self.one.tenant, self.room_id)

    def says(self, view: View, type: str = "m.room.message", *more: Any, **also: Any) -> Event:
        """An event of Eve's."""
        return self.stranger.says(view, self.eve, type, *more, **also)

    async def sends(self, *events: Event, **more: Any) -> dict[str, Any]:
        """Sends the events in one transaction; what is answered for each."""
        status, said = await self.liar.transaction(self.one, [event.json for event in events], **more)
        assert status == 200, said
        pdus: dict[str, Any] = said["pdus"]
        return pdus

    async def standing(self, event: Event) -> int | None:
        """What standing the event has on the server; None if it is not there."""
        for stored in await events_of(self.one, self.room_id):
            if stored["event_id"] == event.event_id:
                standing: int = stored["standing"]
                return standing
        return None

    async def timeline(self, since: str) -> list[str]:
        """The IDs of the events that Alice is shown."""
        news = await self.alice.sync(since=since)
        room = news.get("rooms", {}).get("join", {}).get(self.room_id)
        return [event["event_id"] for event in room["timeline"]["events"]] if room else []


async def set_the_scene(
    make_federated: MakeFederated,
    make_lying: MakeLying,
    version: str = "11",
    *,
    by_address: bool = False,
    certified: Sequence[str] = (),
    **settings: Any,
) -> Scene:
    """A new scene. `by_address`: the liar is called by its IP address, so that it and we can be told apart without ports;
    `certified` are the names in its certificate; `settings` are the homeserver's."""
    one, liar = await make_federated(**settings), await make_lying(names=certified)
    if by_address:
        liar.name = f"127.0.0.1:{liar.port}"
    alice = await one.user("alice")
    room_id = await alice.create_room(preset="public_chat", room_version=version)
    stranger = Stranger(ServerName(liar.name), liar.key)
    eve = stranger.user("eve")
    view = await view_of_room(one.tenant, room_id)
    join = stranger.joins(view, eve)
    scene = Scene(one, alice, liar, stranger, eve, view.with_event(join))
    assert await scene.sends(join) == {join.event_id: {}}
    assert await scene.standing(join) == 0
    return scene
