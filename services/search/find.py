"""Finding what a user may see: candidates from the index, the newest first, and of them those that may be shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import asyncpg

from protocol.filters import EventFilter
from protocol.ids import RoomID
from services.requester import Requester
from services.rooms.reading import Reading, ignored_users
from services.rooms.tail import TailEvent
from services.rooms.visibility import Asked, hidden_from, joined_until
from services.rooms.wanted import Seen
from services.search.rooms import memberships_in
from services.search.walk import walk_newest
from services.tenant import Tenant
from storage.database import Tx
from storage.search.find import Ask, Place, look_up, outlines
from storage.search.patience import TooLong
from storage.timeline import NEWEST

BLOCK = 200  # what is found at once: results are counted, and ranked, among so many
ENOUGH = 50  # of them do
_ROUNDS = 4


@dataclass(frozen=True, slots=True)
class Hit:
    """An event that was found, as far as it was looked at."""

    event_id: str
    room_id: str
    sender: str
    place: Place
    rank: float
    snapshot: int | None
    edit_id: str | None


@dataclass(frozen=True, slots=True)
class Found:
    """What may be shown, the newest first; where there is more (None: nowhere); and how the user sees each room."""

    hits: list[Hit]
    rest: Place | None
    views: Mapping[str, Reading]


async def find(
    tenant: Tenant, requester: Requester, ask: Ask, filter: EventFilter, enough: int = ENOUGH
) -> Found:
    """The newest that may be shown; about `enough` if there are so many."""
    hits: list[Hit] = []
    views: dict[str, Reading] = {}
    rest: Place | None = ask.before
    for _ in range(_ROUNDS if ask.rooms else 0):
        places, rest = await _candidates(tenant, ask, enough)
        async with tenant.database.snapshot() as tx:
            hits += await _shown(tx, requester, ask, filter, places, views)
        if rest is None or len(hits) >= enough:
            return Found(hits, rest, views)
        ask = replace(ask, before=rest)
    return Found(hits, rest if ask.rooms else None, views)


async def _candidates(tenant: Tenant, ask: Ask, enough: int) -> tuple[list[Place], Place | None]:
    """The newest that have the words, and where to go on."""
    try:
        async with tenant.database.snapshot() as tx:
            walked = await walk_newest(tx, ask, enough)
    except TooLong:
        return [], None
    if walked.horizon is None or len(walked.found) >= enough:
        return _block(walked.found, walked.horizon)
    try:
        async with tenant.database.snapshot() as tx:
            return _block(await look_up(tx, ask, BLOCK + 1), None)
    except TooLong:  # who wants more of it goes on by walking
        return _block(walked.found, walked.horizon)


def _block(found: list[Place], rest: Place | None) -> tuple[list[Place], Place | None]:
    return (found[:BLOCK], found[BLOCK - 1]) if len(found) > BLOCK else (found, rest)


async def _shown(
    tx: Tx,
    requester: Requester,
    ask: Ask,
    filter: EventFilter,
    places: Sequence[Place],
    views: dict[str, Reading],
) -> list[Hit]:
    if not places:
        return []
    rel_types, senders = filter.related_by_rel_types, filter.related_by_senders
    rows = await outlines(tx, ask, places, _storable(rel_types), _storable(senders))
    ignored = await ignored_users(tx, requester.user_id)
    others = replace(filter, contains_url=None)  # the query has asked for that
    rows = [
        row
        for row in rows
        if others.matches(Seen(row["type"], row["sender"], {}))
        and (row["sender"] not in ignored or row["state_key"] is not None)
    ]
    await _look_into(tx, requester, {row["room_id"] for row in rows} - views.keys(), views)
    rows = [row for row in rows if row["room_id"] in views]
    hidden = await hidden_from(tx, requester.user_id, list(_asked(rows, views)))
    # Whoever may not see the edit is not to know what was written there.
    return [_hit(row) for row in rows if not {row["event_id"], row["edit_id"]} & hidden]


def _storable(texts: Sequence[str] | None) -> list[str] | None:
    return None if texts is None else [text for text in texts if "\0" not in text]


async def _look_into(tx: Tx, requester: Requester, room_ids: set[str], views: dict[str, Reading]) -> None:
    if not room_ids:
        return
    for room_id, membership in (await memberships_in(tx, requester, room_ids)).items():
        is_joined = membership.membership == "join"
        until = NEWEST if is_joined else await joined_until(tx, requester.user_id, room_id)
        views[room_id] = Reading(requester, RoomID(room_id), membership, until, until, is_over=not is_joined)


def _asked(rows: Sequence[asyncpg.Record], views: Mapping[str, Reading]) -> Sequence[Asked]:
    events: dict[str, list[TailEvent]] = {}
    for row in rows:
        of_room = events.setdefault(row["room_id"], [])
        of_room.append(_outline(row, row["event_id"], row["position"], row["snapshot"]))
        if row["edit"] is not None:
            of_room.append(_outline(row, row["edit_id"], row["edit"], row["edit_snapshot"]))
    return [views[room_id].asked(some) for room_id, some in events.items()]


def _outline(row: asyncpg.Record, event_id: str, position: int, snapshot: int | None) -> TailEvent:
    """What must be known of an event to say whether it may be seen."""
    return TailEvent(
        position,
        event_id,
        row["type"],
        row["state_key"],
        row["sender"],
        row["origin_server_ts"],
        b"",
        snapshot=snapshot,
        replaces_state=row["replaces_state"],
    )


def _hit(row: asyncpg.Record) -> Hit:
    place = row["at"], row["position"]
    return Hit(
        row["event_id"], row["room_id"], row["sender"], place, row["rank"], row["snapshot"], row["edit_id"]
    )
