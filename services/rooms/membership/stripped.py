"""What is shown of a room to those outside: whole events between servers, stripped ones to clients (§Stripped state)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from protocol.events import CREATE, MEMBER, Event, StateKey
from protocol.ids import RoomID, UserID
from protocol.json import JsonObject
from protocol.room_versions import RoomVersion
from services.rooms.client_event import STRIPPED_FIELDS, stripped
from services.rooms.head import Head
from services.rooms.member_rows import STRIPPED_STATE
from services.rooms.receive.check import checked_pdus
from services.tenant import Tenant

MAX_EVENTS = 50  # a room has seven of them, and the member who invites


@dataclass(frozen=True, slots=True)
class Shown:
    """What another server showed of a room: the events that are what they claim, and those that are not known to be so
    (older servers send stripped ones), as clients may see them."""

    events: tuple[Event, ...]
    unproved: tuple[JsonObject, ...]

    @property
    def has_create(self) -> bool:
        """Is the create event, of a room of this version, among those that are proved?"""
        return any(
            event.key == (CREATE, "") and event.content.get("room_version", "1") == event.version.id
            for event in self.events
        )

    def for_client(self, besides: UserID) -> list[JsonObject]:
        """Stripped state, without the member event of the one who is not in yet."""
        found = [stripped(event.json) for event in self.events] + list(self.unproved)
        return [event for event in found if (event["type"], event["state_key"]) != (MEMBER, besides)]


async def pdus_of(tenant: Tenant, head: Head, *more: StateKey) -> list[JsonObject]:
    """The room's events that another server gets to see with an invite or after a knock; under the room's lock."""
    state = await head.state_events(tenant.database, (*STRIPPED_STATE, *more))
    return [event.json for event in state.values()]


async def shown(tenant: Tenant, version: RoomVersion, room_id: RoomID, pdus: Sequence[object]) -> Shown:
    """What of the events that another server sent is to be believed: signed, of this room, a part of its state."""
    checked = await checked_pdus(tenant, version, pdus[:MAX_EVENTS])
    events = [event for event in checked.events if event.room_id == room_id and event.is_state]
    by_key = {event.key: event for event in events}
    unproved = [
        fields
        for pdu in pdus[:MAX_EVENTS]
        if (fields := _fields(pdu)) is not None and (fields["type"], fields["state_key"]) not in by_key
    ]
    return Shown(tuple(by_key.values()), tuple(unproved))


def _fields(pdu: object) -> JsonObject | None:
    if not isinstance(pdu, dict) or not isinstance(pdu.get("content"), dict):
        return None
    # «Entries which are improperly signed or formatted SHOULD be removed by the server»: it was to be a whole event.
    if "signatures" in pdu or "hashes" in pdu:
        return None
    if not all(isinstance(pdu.get(name), str) for name in ("type", "state_key", "sender")):
        return None
    return {name: pdu[name] for name in STRIPPED_FIELDS}
