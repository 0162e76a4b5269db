"""Which rooms have something to tell: the joined ones, those newly joined or left, invites and knocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import orjson

from services.sync.listener import Noted
from services.sync.look import Look, Section, Window
from storage.rooms_of import rooms_with_news
from storage.state_reading import member_history
from storage.timeline import NEWEST, OLDEST


@dataclass(frozen=True, slots=True)
class Rooms:
    """Rooms with timelines to tell, and the memberships (rows) that are invites and knocks, or that ended as such."""

    windows: list[Window] = field(default_factory=list)
    invites: list[asyncpg.Record] = field(default_factory=list)
    knocks: list[asyncpg.Record] = field(default_factory=list)
    retired: list[asyncpg.Record] = field(default_factory=list)


async def changes(look: Look) -> Rooms:
    """What has news for the look."""
    return _noted(look, look.noted) if look.noted is not None else await _stored(look)


def _noted(look: Look, noted: Noted) -> Rooms:
    # The listener has been told of no change of the user's own memberships: in all its rooms the user was joined.
    windows = [
        Window(room_id, look.after, look.upto.position, Section.JOIN, False, False, OLDEST, NEWEST)
        for room_id in noted.events
        if look.wants_room(room_id)
    ]
    return Rooms(windows)


async def _stored(look: Look) -> Rooms:
    tx = await look.connection.tx()
    since = OLDEST if look.full_state else look.after
    left_too = look.since is not None or look.filter.room.include_leave
    rows = [
        row
        for row in await rooms_with_news(tx, look.user_id, since, left_too)
        if look.wants_room(row["room_id"])
    ]
    rooms = Rooms()
    left = []
    for row in rows:
        if row["membership"] == "join":
            rooms.windows.append(_joined(look, row))
        elif row["position"] <= look.after and not _is_told_again(look, row):
            continue
        elif row["membership"] == "invite":
            if not look.likings.hides_invite_of(row["sender"]):
                rooms.invites.append(row)
        elif row["membership"] == "knock":
            rooms.knocks.append(row)
        elif not row["forgotten"] or look.since is not None:
            # A room that was forgotten since is told of all the same, or other devices would keep it.
            left.append(row)
    await _sort_out(look, left, rooms)
    return rooms


def _is_told_again(look: Look, row: asyncpg.Record) -> bool:
    """Of what a client knows to be over, all is told again only where it asks for it; of what it forgot, nothing."""
    if row["membership"] in ("invite", "knock"):
        return look.full_state
    return look.full_state and look.filter.room.include_leave and not row["forgotten"]


def _joined(look: Look, row: asyncpg.Record) -> Window:
    seen_since = row["since"]
    if not look.filter.room.state.lazy_load_members:
        seen_since = max(seen_since, row["whole_since"] or seen_since)  # until then it was hidden
    fresh = look.since is not None and seen_since > look.after
    new = fresh or look.since is None
    return Window(
        row["room_id"],
        OLDEST if new else look.after,
        look.upto.position,
        Section.JOIN,
        new or look.full_state,
        fresh,
        row["since"],
        NEWEST,
    )


async def _sort_out(look: Look, left: Sequence[asyncpg.Record], rooms: Rooms) -> None:
    """The rooms that the user has left: with a timeline if the user was in them since, else with only the end of it."""
    tx = await look.connection.tx()
    history = await member_history(tx, look.user_id, [(row["room_id"], look.after) for row in left])
    for row in left:
        changes = history.get(row["room_id"], [])
        was_joined = (
            look.since is not None and bool(changes) and _membership(changes[0]["previous"]) == "join"
        )
        joins = [change for change in changes if _membership(change["json"]) == "join"]
        if not was_joined and not joins:
            rooms.retired.append(row)
            continue
        # In the end the user left; what came after that (a ban, say) is no news of the room.
        last_join = joins[-1]["position"] if joins else look.after
        end = next(c["position"] for c in changes if c["position"] > last_join)
        whole = not was_joined
        after = OLDEST if whole else look.after
        # Of what happened while the user was in and out again the events' own state tells what may be shown.
        joined_from = look.after if was_joined and not joins else NEWEST
        rooms.windows.append(
            Window(
                row["room_id"],
                after,
                end,
                Section.LEAVE,
                whole,
                whole and look.since is not None,
                joined_from,
                end,
            )
        )


def _membership(json: bytes | None) -> Any:
    return orjson.loads(json)["content"].get("membership") if json is not None else None
