"""State resolution in a room of 20,000 members whose two branches differ in 10 keys: time, statements, events loaded."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncpg

from protocol.events import Event
from protocol.ids import EventID
from protocol.room_versions import RoomVersion, version_named
from services.observations import Observation
from services.rooms.observations import StateResolved
from services.rooms.receive_state import state_before
from services.tenant import Tenant
from storage.database import Database
from storage.embedded.postgres import EmbeddedPostgres
from storage.schema.migrate import migrate
from tests.protocol.rooms import ALICE, BOB, CAROL, Room
from tests.services.process import process
from tests.services.stored_rooms import StoredRoom

VERSIONS = ("10", "12")
ROUNDS = 20
_SIZE = "SELECT pg_total_relation_size('bench.auth_chains')"


@asynccontextmanager
async def _tenant(told: list[Observation]) -> AsyncIterator[Tenant]:
    with tempfile.TemporaryDirectory() as folder:
        postgres = EmbeddedPostgres(Path(folder) / "postgresql", durable=False)
        parameters: dict[str, Any] = dict(await postgres.start())
        connection = await asyncpg.connect(**parameters, statement_cache_size=0)
        await migrate(connection, "bench")
        await connection.close()
        database = await Database.open(parameters, "bench", 4)
        tenant = await process(database)
        yield replace(tenant, observe=told.append)
        await database.close()
        await postgres.stop()


async def _fill(tenant: Tenant, version: RoomVersion, members: int) -> tuple[Event, Event]:
    """Writes the room; the last events of its two branches."""
    room = Room.opened(version, BOB, CAROL)
    powers: dict[str, int] = {} if version.creator_power else {ALICE: 100}
    room.levels({**powers, BOB: 50, CAROL: 50})
    stored = StoredRoom(tenant, room.create)
    state: dict[tuple[str, str], EventID] = {}
    for event in room.events.values():
        state[event.key] = event.event_id
        await stored.add(event, state)
    for number in range(members):
        event = room.member(f"@user{number}:two", "join")
        await stored.add_plain(event)
    other = room.fork()
    for step in range(5):
        await stored.add_plain(room.member(f"@user{step}:two", "ban", by=BOB))
        await stored.add_plain(other.member(f"@user{step + 100}:two", "join", displayname="New"))
    await stored.add_plain(room.levels({**powers, BOB: 50, CAROL: 25}))
    last = other.levels({**powers, BOB: 25, CAROL: 50})
    await stored.add_plain(last)
    assert room.latest is not None
    await stored.write()
    return room.latest, last


async def _measure(version: RoomVersion, members: int) -> dict[str, Any]:
    told: list[Observation] = []
    async with _tenant(told) as tenant:
        prev_events = [event.event_id for event in await _fill(tenant, version, members)]
        async with tenant.database.read() as tx:
            await tx.execute("ANALYZE")
            bytes_an_event = await tx.fetchval(_SIZE) / members
        statements, times = tenant.database.statements_run, []
        for _ in range(ROUNDS):
            began = time.perf_counter()
            found = await state_before(tenant, version, prev_events)
            times.append((time.perf_counter() - began) * 1000)
        statements = (tenant.database.statements_run - statements) // ROUNDS
    (resolved,) = {one for one in told if isinstance(one, StateResolved)}
    print(
        f"{f'room version {version.id}, {members} members':<40}{statistics.median(times):>10.1f} ms"
        f"{max(times):>10.1f} ms{statements:>12}{resolved.conflicts:>12}{resolved.loaded:>10}"
    )
    return {
        "ms": round(statistics.median(times), 1),
        "worst_ms": round(max(times), 1),
        "statements": statements,
        "conflicting_keys": resolved.conflicts,
        "events_loaded": resolved.loaded,
        "changed_keys": len(found.changes),
        "index_bytes_a_member": round(bytes_an_event),
    }


async def run(peer: bool, scale: float) -> dict[str, Any]:
    """Prints the table and returns the figures; there is no such thing to be asked of a peer."""
    print(f"{'':<40}{'median':>13}{'worst':>13}{'statements':>12}{'conflicts':>12}{'loaded':>10}")
    return {version: await _measure(version_named(version), int(20_000 * scale)) for version in VERSIONS}
