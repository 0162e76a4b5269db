"""The PDUs of a transaction (§Transactions): which are refused and why, which are taken over. The others do not suffer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import orjson

from protocol.events import MEMBER, Event
from protocol.ids import ServerName
from protocol.json import JsonObject
from protocol.room_versions import RoomVersion, version_named
from protocol.server_acl import ServerAcl
from services.rooms.membership.retract import taken_back
from services.rooms.receive.check import checked_pdus
from services.rooms.receive.inbox import take_over
from services.rooms.receive.observations import EventRefused
from services.tenant import Tenant
from storage.servers.handshakes import remote_room
from storage.servers.inbound import OpenRoom, keep_response, open_rooms, response_to

_FAULT = "this server failed to place the event"

Outcomes = dict[str, str | None]
"""Event ID -> why it was refused, or None."""


async def answer_before(tenant: Tenant, origin: ServerName, txn_id: str) -> bytes | None:
    """What was answered to this transaction of the origin's; None for a new one."""
    async with tenant.database.read() as tx:
        return await response_to(tx, origin, txn_id)


async def remember_answer(tenant: Tenant, origin: ServerName, txn_id: str, answer: bytes) -> None:
    """The transaction has been worked off, and is answered so from now on."""
    async with tenant.database.read() as tx:
        await keep_response(tx, origin, txn_id, tenant.clock.now(), answer)


async def receive_pdus(tenant: Tenant, origin: ServerName, pdus: Sequence[object]) -> Outcomes:
    """What became of each PDU that has an event ID; what is not refused is in its room, or will be."""
    named: dict[str, list[JsonObject]] = {}
    for pdu in pdus:
        if isinstance(pdu, dict) and isinstance(pdu.get("room_id"), str) and "\0" not in pdu["room_id"]:
            named.setdefault(pdu["room_id"], []).append(pdu)
    # What others say of a room that we are just entering: in a moment it is here.
    await tenant.entering.settled(named)
    async with tenant.database.read() as tx:
        rooms = await open_rooms(tx, named.keys())
    outcomes: Outcomes = {}
    taken: list[Event] = []
    for version, some in _by_version(named, rooms):
        events = await _checked(tenant, origin, version, some, outcomes)
        for event in events:
            room = rooms.get(event.room_id)
            if room is None:  # a create event, whose room is not the one that it names
                outcomes[event.event_id] = "we are not in this room"
            elif _admits(room, origin):
                taken.append(event)
            else:
                outcomes[event.event_id] = "your server is shut out of this room"
    for room_id in named.keys() - rooms.keys():
        outcomes |= await _outside(tenant, origin, room_id, named[room_id])
    failed = await take_over(tenant, origin, taken)
    return outcomes | {event.event_id: _FAULT if event in failed else None for event in taken}


def _by_version(
    named: Mapping[str, Iterable[JsonObject]], rooms: Mapping[str, OpenRoom]
) -> list[tuple[RoomVersion, list[JsonObject]]]:
    grouped: dict[str, list[JsonObject]] = {}
    for room_id, room in rooms.items():
        grouped.setdefault(room.room_version, []).extend(named[room_id])
    return [(version_named(version), pdus) for version, pdus in grouped.items()]


def _admits(room: OpenRoom, origin: ServerName) -> bool:
    return room.acl is None or ServerAcl.of(orjson.loads(room.acl)["content"]).allows(origin)


async def _checked(
    tenant: Tenant, origin: ServerName, version: RoomVersion, pdus: Sequence[JsonObject], outcomes: Outcomes
) -> list[Event]:
    checked = await checked_pdus(tenant, version, pdus)
    for event_id, reason in checked.dropped:
        tenant.observe(EventRefused(None, event_id, origin, "dropped", reason))
        if event_id is not None:
            outcomes[event_id] = reason
    return checked.events


async def _outside(tenant: Tenant, origin: ServerName, room_id: str, pdus: Sequence[JsonObject]) -> Outcomes:
    """PDUs of a room that we are not in: of use only where they end an invite or a knock of a user of ours."""
    async with tenant.database.read() as tx:
        known = await remote_room(tx, room_id)
    if known is None:
        return {}
    outcomes: Outcomes = {}
    members = [pdu for pdu in pdus if pdu.get("type") == MEMBER]
    for event in await _checked(tenant, origin, known.room_version, members, outcomes):
        believed = event.room_id == room_id and await taken_back(tenant, event, origin)
        outcomes[event.event_id] = None if believed else "we are not in this room"
    return outcomes
