"""A made-up server: it signs events for rooms of ours as it likes. What it knows of a room it reads from our database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from protocol.auth.needed import needed_for
from protocol.build import EventDraft, build_event
from protocol.events import Event, StateKey
from protocol.ids import EventID, RoomID, ServerName, UserID
from protocol.room_versions import RoomVersion
from protocol.signing import SigningKey
from services.tenant import Tenant
from storage.events import events_by_id
from storage.rooms import head_of
from storage.state import state_ids_at

_counter = count(1)


@dataclass
class View:
    """A point of a room's graph: what an event that comes next is built on."""

    version: RoomVersion
    room_id: RoomID
    latest: list[Event]
    state: dict[StateKey, Event]

    def with_event(self, event: Event) -> View:
        """The point behind one more event."""
        state = dict(self.state)
        if event.is_state:
            state[event.key] = event
        return View(self.version, self.room_id, [event], state)

    def together_with(self, *others: View) -> View:
        """The point behind several branches, with the state of this one."""
        latest = [event for view in (self, *others) for event in view.latest]
        return View(self.version, self.room_id, latest, self.state)


@dataclass
class Stranger:
    """A server named so, with one key."""

    name: ServerName
    key: SigningKey = field(default_factory=lambda: SigningKey.from_seed("ed25519:x", b"s" * 32))

    def user(self, localpart: str) -> UserID:
        """A user of this server."""
        return UserID(f"@{localpart}:{self.name}")

    def says(
        self,
        view: View,
        sender: str,
        type: str = "m.room.message",
        content: Mapping[str, Any] | None = None,
        state_key: str | None = None,
        *,
        auth_events: Sequence[Event] | None = None,
        **more: Any,
    ) -> Event:
        """The event as this server would make it at this point; `more` replaces arguments of `build_event`."""
        number = next(_counter)
        said = {"body": f"number {number}", "msgtype": "m.text"} if content is None else dict(content)
        draft = EventDraft(type, said, state_key, more.pop("redacts", None))
        if auth_events is None:
            needed = needed_for(view.version, type, sender, state_key, said)
            auth_events = [view.state[key] for key in sorted(needed) if key in view.state]
        arguments: dict[str, Any] = {
            "room_id": view.room_id,
            "sender": UserID(sender),
            "prev_events": view.latest,
            "auth_events": auth_events,
            "depth": max((event.depth for event in view.latest), default=0) + 1,
            "origin_server_ts": 1_700_000_000_000 + number,
            "key": self.key,
            "server_name": self.name,
            "event_id": None if view.version.event_id_is_hash else EventID(f"$x{number}:{self.name}"),
        }
        return build_event(view.version, draft, **(arguments | more))

    def joins(self, view: View, sender: str) -> Event:
        """A join of one of its users."""
        return self.says(view, sender, "m.room.member", {"membership": "join"}, sender)


async def view_of_room(tenant: Tenant, room_id: str) -> View:
    """The room as it is now on the server."""
    async with tenant.database.read() as tx:
        head = await head_of(tx, room_id, ())
        assert head is not None
        ids = await state_ids_at(tx, head.snapshot)
        stored = await events_by_id(tx, {*ids.values(), *head.forward_extremities})
    state = {key: stored[event_id].event for key, event_id in ids.items()}
    latest = [stored[event_id].event for event_id in head.forward_extremities]
    return View(head.room_version, RoomID(room_id), latest, state)
