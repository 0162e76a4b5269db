"""What other servers are to be told, by position: live, or for one that is behind. Read by federation/outbound."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from protocol.events import MEMBER
from protocol.ids import ServerName, server_of
from protocol.json import JsonObject
from services.rooms.tail import LENGTH
from services.servers.edus import Receipt, device_edus
from services.tenant import Tenant
from storage.servers import outgoing as stored
from storage.servers.destinations import Claimed as Claimed
from storage.servers.outbox import pdu_in, waiting_in_outbox
from storage.servers.room_servers import RoomServer as RoomServer
from storage.servers.room_servers import any_room_servers, servers_of_rooms, servers_of_users

MAX_EDUS = 100
MAX_MAIL = 512 * 1024  # bytes in a transaction


@dataclass(frozen=True, slots=True)
class Item:
    """Something with a place in the order of the journal: an event (a PDU), or else an EDU."""

    position: int
    pdu: bytes | None = None
    edu: JsonObject | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """The first items for a server; with them it has everything up to `position`."""

    items: list[Item]
    position: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """EDUs and events from a server's outbox; `last` is the last one's place, and there may be more."""

    edus: list[bytes] = field(default_factory=list)
    pdus: list[bytes] = field(default_factory=list)
    last: tuple[int, int] | None = None
    more: bool = False


RoomServers = dict[str, dict[str, RoomServer]]


async def room_servers(tenant: Tenant, rooms: Collection[str]) -> RoomServers:
    """The other servers of each of the rooms, by name."""
    async with tenant.database.read() as tx:
        return await servers_of_rooms(tx, rooms, tenant.name)


async def has_other_servers(tenant: Tenant) -> bool:
    """Is there a room with users of another server?"""
    async with tenant.database.read() as tx:
        return await any_room_servers(tx)


def shows_only_others(tenant: Tenant, room_id: str, after: int, upto: int) -> bool:
    """Is it known from memory that the room's events at positions in (after, upto] are all of other servers, which tell of them
    themselves? Memberships are not, for others may have entered the room through us."""
    page = tenant.tails.peek(room_id, after, upto, LENGTH)
    return (
        page is not None
        and not page.limited
        and all(event.type != MEMBER and server_of(event.sender) != tenant.name for event in page.events)
    )


async def events_by_server(
    tenant: Tenant, rooms: RoomServers, after: int, upto: int
) -> list[tuple[Item, list[ServerName]]]:
    """The events of these rooms at positions in (after, upto] that are for others, and for whom."""
    async with tenant.database.read() as tx:
        events = await stored.events_to_tell(tx, tenant.name, after, upto, rooms.keys())
    return [
        (
            Item(event.position, pdu=event.json),
            [
                ServerName(name)
                for name, server in rooms[event.room_id].items()
                if server.hears(event.position) and name != server_of(event.sender)
            ],
        )
        for event in events
    ]


async def receipts_by_server(
    tenant: Tenant, rooms: RoomServers, after: int, upto: int
) -> list[tuple[Receipt, list[ServerName]]]:
    """The public receipts of our users in these rooms, set at positions in (after, upto], and for whom they are."""
    async with tenant.database.read() as tx:
        rows = await stored.receipts_to_tell(tx, tenant.name, rooms.keys(), after, upto)
    return [
        (
            (row["room_id"], row["user_id"], row["thread_id"], row["event_id"], row["ts"]),
            present(rooms[row["room_id"]]),
        )
        for row in rows
    ]


def present(servers: dict[str, RoomServer]) -> list[ServerName]:
    """Those that have users in the room now."""
    return [ServerName(name) for name, server in servers.items() if server.joined]


async def device_updates_by_server(
    tenant: Tenant, after: int, upto: int
) -> list[tuple[Item, list[ServerName]]]:
    """Updates of our users' devices at positions in (after, upto], for those who share a room with the users; and for those who
    come to share one by a join at these positions."""
    async with tenant.database.read() as tx:
        changes = await stored.device_changes(tx, after, upto)
        servers = await servers_of_users(tx, {change.user_id for change in changes}) if changes else {}
        introductions = await stored.introductions(tx, after, upto)
    told = [change for change in changes if change.user_id in servers]
    edus = await device_edus(tenant, told)
    items = [
        (Item(change.position, edu=edu), list(map(ServerName, servers[change.user_id])))
        for change, edu in zip(told, edus, strict=True)
    ]
    return items + await _introducing(tenant, introductions)


async def introductions_of_found(
    tenant: Tenant, after: int, upto: int, rooms: Collection[str]
) -> list[tuple[Item, list[ServerName]]]:
    """Our users' devices, for servers of which we learnt at these positions that they are in one of the rooms: when all its
    members were known to us."""
    async with tenant.database.read() as tx:
        introductions = await stored.introductions_of_found(tx, after, upto, rooms)
    return await _introducing(tenant, introductions)


async def _introducing(
    tenant: Tenant, introductions: Sequence[stored.Introduction]
) -> list[tuple[Item, list[ServerName]]]:
    edus = await device_edus(tenant, [one.change for one in introductions])
    return [
        (Item(one.position, edu=edu), [ServerName(one.server)])
        for one, edu in zip(introductions, edus, strict=True)
    ]


async def servers_sharing_rooms(tenant: Tenant, users: Collection[str]) -> dict[str, list[ServerName]]:
    """The servers that share a room with each of these users of ours."""
    async with tenant.database.read() as tx:
        found = await servers_of_users(tx, users)
    return {user_id: list(map(ServerName, servers)) for user_id, servers in found.items()}


async def page_for_server(
    tenant: Tenant, server: ServerName, after: int, upto: int, limit: int, *, catching_up: bool
) -> Page:
    """What the server is to be told next of what happened in (after, upto].

    When it is catching up, only the last event of each room: for the others it will ask when it wants them.
    """
    read = stored.last_of_rooms_for_server if catching_up else stored.next_for_server
    half = MAX_EDUS // 2
    async with tenant.database.snapshot() as tx:
        events = await read(tx, tenant.name, server, after, upto, limit)
        if len(events) == limit:
            upto = events[-1].position
        changes = await stored.device_changes_for_server(tx, server, after, upto, half)
        if len(changes) == half:
            upto = changes[-1].position
        introductions = await stored.introductions_for_server(tx, server, after, upto, half)
        if len(introductions) == half:
            upto = introductions[-1].position
    items = [Item(event.position, pdu=event.json) for event in events]
    told = [*changes, *(one.change for one in introductions)]
    places = [*(change.position for change in changes), *(one.position for one in introductions)]
    edus = await device_edus(tenant, told)
    items += [Item(at, edu=edu) for at, edu in zip(places, edus, strict=True)]
    items = [item for item in items if item.position <= upto]
    return Page(sorted(items, key=lambda item: item.position), upto)


async def lacks_more_than(tenant: Tenant, server: ServerName, after: int, upto: int, limit: int) -> bool:
    """Are there more events than that for the server in (after, upto]?"""
    async with tenant.database.read() as tx:
        return await stored.count_for_server(tx, tenant.name, server, after, upto, limit + 1) > limit


async def waiting_for_server(
    tenant: Tenant, server: ServerName, after: tuple[int, int], limit: int, max_pdus: int
) -> Waiting:
    """What comes first in the server's outbox behind a place: not more than the limits, nor much more than MAX_MAIL."""
    async with tenant.database.read() as tx:
        found = await waiting_in_outbox(tx, server, after, limit)
    edus: list[bytes] = []
    pdus: list[bytes] = []
    size = 0
    for _, _, mail in found:
        size += len(mail)
        pdu = pdu_in(mail)
        if (pdu is not None and len(pdus) == max_pdus) or (size > MAX_MAIL and (edus or pdus)):
            break
        if pdu is not None:
            pdus.append(pdu)
        else:
            edus.append(mail)
    taken = len(edus) + len(pdus)
    last = found[taken - 1][:2] if taken else None
    return Waiting(edus, pdus, last, taken < len(found) or len(found) == limit)
