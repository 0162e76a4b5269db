"""Receipts: how far others have read, and with private ones how far the user has."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import asyncpg

from protocol.ids import RoomID
from services.sync.look import Look
from services.tenant import Tenant
from storage.receipts import UNTHREADED
from storage.sync_user_data import receipt_changes
from storage.timeline import OLDEST

RECEIPT = "m.receipt"
NOBODY = ""
Event = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Receipts:
    """m.receipt events by room, and the rooms in which the user's own receipt has moved."""

    events: dict[str, list[Event]] = field(default_factory=dict)
    own: frozenset[str] = frozenset()


async def changes(look: Look, whole_rooms: Collection[str]) -> Receipts:
    """What changed in the rooms that are joined; of `whole_rooms` everything. None of it where the filter bars m.receipt,
    but unread counts follow the user's own receipts all the same.
    """
    rooms = look.noted.receipts if look.noted is not None else look.joined
    ranges = [(r, OLDEST if r in whole_rooms else look.after) for r in rooms if look.wants_room(r)]
    if not ranges:
        return Receipts()
    by_room: dict[str, list[asyncpg.Record]] = {}
    for row in await _rows(look, ranges):
        if row["user_id"] not in look.ignored:
            by_room.setdefault(row["room_id"], []).append(row)
    own = {
        room_id for room_id, rows in by_room.items() if any(row["user_id"] == look.user_id for row in rows)
    }
    wanted = look.filter.room.ephemeral
    events = {
        room_id: events_of(rows)
        for room_id, rows in by_room.items()
        if wanted.allows_type(RECEIPT) and wanted.allows_room(RoomID(room_id))
    }
    return Receipts(events, frozenset(own))


async def _rows(look: Look, ranges: Sequence[tuple[str, int]]) -> Sequence[asyncpg.Record]:
    if look.noted is None or look.noted.own_reading:
        return await receipt_changes(await look.connection.tx(), look.user_id, ranges, look.upto.position)
    rows: list[asyncpg.Record] = []
    for place in ranges:
        key = ("receipts", place, look.upto.position)
        rows += await look.tenant.listeners.shared.answer(
            key, partial(_public, look.tenant, place, look.upto.position)
        )
    return rows


async def _public(tenant: Tenant, place: tuple[str, int], upto: int) -> list[asyncpg.Record]:
    """Receipts in one room that everybody there may see."""
    async with tenant.database.read() as tx:
        return await receipt_changes(tx, NOBODY, [place], upto)


def events_of(rows: Collection[asyncpg.Record]) -> list[Event]:
    """One event says one thing of each (event, type, user): where a user has read in a thread and the room, a second does. What
    is of no thread is in the first, whatever order the rows come in.
    """
    contents: list[dict[str, dict[str, dict[str, Any]]]] = []
    for row in sorted(rows, key=lambda row: str(row["thread_id"])):
        entry: dict[str, Any] = {"ts": row["ts"]}
        if row["thread_id"] != UNTHREADED:
            entry["thread_id"] = row["thread_id"]
        for content in contents:
            users = content.setdefault(row["event_id"], {}).setdefault(row["receipt_type"], {})
            if row["user_id"] not in users:
                users[row["user_id"]] = entry
                break
        else:
            contents.append({row["event_id"]: {row["receipt_type"]: {row["user_id"]: entry}}})
    return [{"type": RECEIPT, "content": content} for content in contents]
