"""Fetching history when a reader comes to where ours ends: other servers that are in the room are asked, for a short while."""

from __future__ import annotations

import asyncio

from protocol.ids import EventID, RoomID, ServerName
from protocol.json import JsonObject
from protocol.room_versions import version_named
from services.ports import RemoteFailed
from services.rooms.membership.candidates import candidates
from services.rooms.receive.history import place_history
from services.tenant import Tenant
from storage.servers.inbound import backward_extremities, open_rooms
from storage.servers.room_servers import servers_of_rooms

MAX_ASKED = 3  # servers
PATIENCE = 10.0  # seconds that a reader waits, for all of them
PORTION = 100  # events
MAX_POINTS = 5  # ends of our history that are asked for together
PAUSE = 30_000  # ms for which nobody is asked again when nobody had anything


async def has_gap(tenant: Tenant, room_id: RoomID) -> bool:
    """Is there history of the room that we do not have?"""
    async with tenant.database.read() as tx:
        return bool(await backward_extremities(tx, room_id, 1))


async def backfill(tenant: Tenant, room_id: RoomID) -> bool:
    """Is there more history of the room now than before? Those who ask at the same time share the answer."""
    return await tenant.backfilling.ask(
        room_id,
        lambda: _backfill(tenant, room_id),
        tenant.clock.now(),
        lambda found_some: 0 if found_some else PAUSE,
    )


async def _backfill(tenant: Tenant, room_id: RoomID) -> bool:
    async with tenant.database.read() as tx:
        points = await backward_extremities(tx, room_id, MAX_POINTS)
        room = (await open_rooms(tx, [room_id])).get(room_id)
        known = (await servers_of_rooms(tx, [room_id], tenant.name))[room_id]
    if not points or room is None:
        return False
    # Those who have been there longest have most of it.
    longest_first = sorted((s for s in known.values() if s.joined), key=lambda server: server.since)
    version = version_named(room.room_version)
    try:
        async with asyncio.timeout(PATIENCE):
            for server in candidates(tenant, (one.server for one in longest_first))[:MAX_ASKED]:
                pdus = await _ask(tenant, server, room_id, points)
                if pdus and await place_history(tenant, server, version, room_id, pdus, points):
                    return True
    except TimeoutError:
        pass  # what was placed until then stays
    return False


async def _ask(
    tenant: Tenant, server: ServerName, room_id: RoomID, points: list[EventID]
) -> list[JsonObject]:
    try:
        pdus = await tenant.remotes.backfill(server, room_id, points, PORTION)
    except RemoteFailed:
        return []
    return pdus[:PORTION]
