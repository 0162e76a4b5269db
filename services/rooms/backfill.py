"""Fetching history when a reader comes upon a gap: other servers that are in the room are asked, for a short while."""

from __future__ import annotations

import asyncio

from protocol.ids import EventID, RoomID, ServerName
from protocol.json import JsonObject
from protocol.room_versions import version_named
from services.ports import RemoteFailed
from services.rooms.membership.candidates import candidates
from services.rooms.receive.history import place_history
from services.tenant import Tenant
from storage.gaps import end_backfill, is_backfilled, missing_in_gap, take_backfill
from storage.servers.inbound import open_rooms
from storage.servers.room_servers import servers_of_rooms

MAX_ASKED = 3  # servers
PATIENCE = 10.0  # seconds that a reader waits, for all of them
PORTION = 100  # events
MAX_POINTS = 5  # ends of our history that are asked for together
PAUSE = 30_000  # ms for which nobody is asked again when nobody had anything
_LEASE = 20_000  # ms after which whoever was fetching is taken to have died
_LOOK_EVERY = 100  # ms


async def backfill(tenant: Tenant, room_id: RoomID, floor: int) -> bool:
    """Is there more history of the room now than before, in the gap with this floor? Those who ask at the same time share the
    answer.
    """
    return await tenant.backfilling.ask(
        (room_id, floor),
        lambda: _backfill(tenant, room_id, floor),
        tenant.clock.now(),
        lambda found_some: 0 if found_some else PAUSE,
    )


async def _backfill(tenant: Tenant, room_id: RoomID, floor: int) -> bool:
    try:
        async with asyncio.timeout(PATIENCE):
            return await _alone(tenant, room_id, floor)
    except TimeoutError:
        return False  # what was placed until then stays


async def _alone(tenant: Tenant, room_id: RoomID, floor: int) -> bool:
    """Fetches history, unless another process, or another reader of ours, is at it: then what that has done counts."""
    now = tenant.clock.now()
    until = now + _LEASE
    async with tenant.database.transaction() as tx:
        is_ours = await take_backfill(tx, room_id, now, until)
    if not is_ours:
        await _until_done(tenant, room_id)
        return True
    try:
        return await _fetch(tenant, room_id, floor)
    finally:
        async with tenant.database.transaction() as tx:
            await end_backfill(tx, room_id, until)


async def _until_done(tenant: Tenant, room_id: RoomID) -> None:
    while True:
        await tenant.clock.sleep(_LOOK_EVERY)
        async with tenant.database.read() as tx:
            if not await is_backfilled(tx, room_id, tenant.clock.now()):
                return


async def _fetch(tenant: Tenant, room_id: RoomID, floor: int) -> bool:
    async with tenant.database.read() as tx:
        points = await missing_in_gap(tx, room_id, floor, MAX_POINTS)
        room = (await open_rooms(tx, [room_id])).get(room_id)
        known = (await servers_of_rooms(tx, [room_id], tenant.name))[room_id]
    if not points or room is None:
        return False
    # Those who have been there longest have most of it.
    longest_first = sorted((s for s in known.values() if s.joined), key=lambda server: server.since)
    version = version_named(room.room_version)
    for server in candidates(tenant, (one.server for one in longest_first))[:MAX_ASKED]:
        pdus = await _ask(tenant, server, room_id, points)
        if pdus and await place_history(tenant, server, version, room_id, pdus, points):
            return True
    return False


async def _ask(
    tenant: Tenant, server: ServerName, room_id: RoomID, points: list[EventID]
) -> list[JsonObject]:
    try:
        pdus = await tenant.remotes.backfill(server, room_id, points, PORTION)
    except RemoteFailed:
        return []
    return pdus[:PORTION]
