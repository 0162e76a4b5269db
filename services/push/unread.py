"""How much a user has not read: from what this process remembers, else from the database, for many rooms at once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from typing import Any

from protocol.ids import RoomID, UserID
from services.push.counts import MAIN, Known, Unread, advanced
from services.rooms.tail import LENGTH
from services.tenant import Tenant
from storage.database import Tx
from storage.push.unread import unread_rows


async def unread(
    tenant: Tenant,
    user_id: UserID,
    room_ids: Collection[RoomID],
    upto: int,
    ignored: frozenset[str],
    tx: Callable[[], Awaitable[Tx]],
) -> dict[RoomID, Unread]:
    """The counts of those of the rooms that the user is joined to, at position `upto` or later.

    Events of users in `ignored` do not count. `tx` is called when the database must be asked.
    """
    known: dict[RoomID, Known] = {}
    for room_id in room_ids:
        remembered = _remembered(tenant, user_id, room_id, upto, ignored)
        if remembered is not None:
            known[room_id] = remembered
    missing = [room_id for room_id in room_ids if room_id not in known]
    if missing:
        known |= _known(await unread_rows(await tx(), user_id, missing, ignored), ignored)
    if len(room_ids) <= _FEW:
        for room_id, counted in known.items():
            tenant.counts.keep(user_id, room_id, counted)
    rules = tenant.evaluators.known(user_id)
    if rules is None:
        rules = (await tenant.evaluators.rules_of(await tx(), (user_id,), upto))[user_id]
    return {room_id: found.unread(rules.classification.mode_in(room_id)) for room_id, found in known.items()}


async def with_any_unread(tx: Tx, user_id: UserID, room_ids: Collection[str]) -> set[str]:
    """Those of the rooms in which something would be unread if the user ignored nobody and heard all."""
    rows = await unread_rows(tx, user_id, room_ids, ())
    return {row["room_id"] for row in rows if row["notify"] > 0 or row["highlight"] > 0}


# A look at many rooms is a first one: what it finds is not remembered, for it would be much for each user.
_FEW = 10


def _remembered(
    tenant: Tenant, user_id: UserID, room_id: RoomID, upto: int, ignored: frozenset[str]
) -> Known | None:
    known = tenant.counts.get(user_id, room_id)
    if known is None or known.ignored != ignored:
        return None
    if known.position >= upto:
        return known
    page = tenant.tails.peek(room_id, known.position, upto, LENGTH)
    return None if page is None or page.limited else advanced(known, user_id, page.events, upto)


def _known(rows: Collection[Any], ignored: frozenset[str]) -> dict[RoomID, Known]:
    counts: dict[RoomID, dict[str, tuple[int, int]]] = {}
    positions: dict[RoomID, tuple[int, str | None]] = {}
    for row in rows:
        counts.setdefault(row["room_id"], {})[row["root"]] = (row["notify"], row["highlight"])
        if row["root"] == MAIN:
            positions[row["room_id"]] = row["position"], row["ruleset"]
    return {
        room_id: Known(position, ignored, counts[room_id], ruleset)
        for room_id, (position, ruleset) in positions.items()
    }
