"""Reading single events, the state and the members of a room, now or as at an earlier position."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import asyncpg
import orjson
from orjson import Fragment

from protocol.events import MEMBER, StateKey
from protocol.ids import EventID, RoomID
from protocol.matrix_error import NotFound
from services.access import joined_member
from services.requester import Requester
from services.rooms.client_event import state_json
from services.rooms.membership.whole import until_whole_or_left
from services.rooms.reading import Reading, reading
from services.rooms.tail import stored_tail_event
from services.rooms.visibility import joined_until
from services.tenant import Tenant
from storage.database import Tx
from storage.events import Standing
from storage.membership import membership_of
from storage.rooms_of import joined_rooms_now
from storage.servers.partial_rooms import never_placed
from storage.state_reading import (
    deltas,
    first_state_of_type,
    state_events,
    state_of_key,
    state_of_rooms,
    state_of_type,
)
from storage.timeline import NEWEST, place_of, shown_events

NOT_FOUND = "There is no such event, or you may not see it"


async def one_event(tenant: Tenant, requester: Requester, room_id: RoomID, event_id: EventID) -> bytes:
    """The event, for clients; raises NotFound, also where the user may not see it."""
    async with tenant.database.snapshot() as tx:
        view = await view_of(tx, requester, room_id)
        found = await visible_event(tx, view, event_id)
        now = tenant.clock.now()
        bundled = await view.bundled(tx, [found], now)
    return view.json(found, now, bundled.get(event_id, b""))


async def view_of(tx: Tx, requester: Requester, room_id: RoomID) -> Reading:
    """The user's view of a room, whatever the user is to it: single events tell by themselves whether they may be seen."""
    membership = await membership_of(tx, room_id, requester.user_id)
    is_joined = membership is not None and membership.membership == "join"
    last_joined = NEWEST if is_joined else await joined_until(tx, requester.user_id, room_id)
    return Reading(requester, room_id, membership, last_joined, last_joined, is_over=False)


async def visible_event(tx: Tx, view: Reading, event_id: EventID) -> Any:
    """The event, if it has a place in the room and the user may see it; raises NotFound."""
    place = await place_of(tx, view.room_id, event_id)
    if place is None or place["standing"] > Standing.HISTORY:
        raise NotFound(NOT_FOUND)
    visible = await view.visible(tx, [stored_tail_event(row) for row in await shown_events(tx, [event_id])])
    if not visible:
        raise NotFound(NOT_FOUND)
    return visible[0]


async def check_readable(tenant: Tenant, requester: Requester, room_id: RoomID) -> None:
    """Raises Forbidden for who may read nothing of the room."""
    async with tenant.database.read() as tx:
        await reading(tx, requester, room_id)


async def whole_state(tenant: Tenant, requester: Requester, room_id: RoomID) -> list[Fragment]:
    """The room's state now, or as it was when the user left; raises Forbidden."""
    async with tenant.database.snapshot() as tx:
        view = await reading(tx, requester, room_id)
        rows = await _as_at(tx, view.room_id, await state_of_rooms(tx, [room_id]), view.until)
    return _shown(rows, room_id, tenant.clock.now())


async def state_event(
    tenant: Tenant, requester: Requester, room_id: RoomID, key: StateKey, *, whole: bool
) -> bytes:
    """The JSON of a state event's content, or of the `whole` event; raises Forbidden, NotFound."""
    async with tenant.database.snapshot() as tx:
        view = await reading(tx, requester, room_id)
        row = await state_of_key(tx, room_id, *key)
        rows = await _as_at(
            tx, room_id, [row] if row is not None else [], view.until, lambda other: other == key
        )
    if not rows:
        raise NotFound("The room's state has nothing there")
    if whole:
        return state_json(rows[0], room_id, tenant.clock.now())
    return orjson.dumps(orjson.loads(rows[0]["json"])["content"])


async def members(
    tenant: Tenant,
    requester: Requester,
    room_id: RoomID,
    at: int | None,
    wanted: Callable[[object], bool],
) -> list[Fragment]:
    """The member events of those whose membership is wanted, now or at a position; raises Forbidden."""
    await until_whole_or_left(tenant, room_id)
    async with tenant.database.snapshot() as tx:
        view = await reading(tx, requester, room_id)
        until = view.until if at is None else min(at, view.until)
        rows = await _as_at(tx, room_id, await state_of_type(tx, room_id, MEMBER), until, _is_member)
        if not rows:  # the token is from before the room's beginning: that is when its creator came
            rows = await first_state_of_type(tx, room_id, MEMBER)
    chosen = [row for row in rows if wanted(orjson.loads(row["json"])["content"].get("membership"))]
    return _shown(chosen, room_id, tenant.clock.now())


async def joined_members(tenant: Tenant, requester: Requester, room_id: RoomID) -> dict[str, dict[str, str]]:
    """Who is in the room, with names and avatars; raises Forbidden for who is not."""
    await until_whole_or_left(tenant, room_id)
    async with tenant.database.snapshot() as tx:
        await joined_member(tx, room_id, requester.user_id)
        rows = await state_of_type(tx, room_id, MEMBER)
    contents = ((row["state_key"], orjson.loads(row["json"])["content"]) for row in rows)
    return {
        user_id: _profile(content) for user_id, content in contents if content.get("membership") == "join"
    }


async def joined_rooms(tenant: Tenant, requester: Requester) -> list[str]:
    """The rooms that the user is in."""
    async with tenant.database.read() as tx:
        return (await joined_rooms_now(tx, requester.user_id)).rooms


async def _as_at(
    tx: Tx,
    room_id: str,
    rows: Iterable[asyncpg.Record],
    until: int,
    concerns: Callable[[StateKey], bool] = lambda _: True,
) -> list[asyncpg.Record]:
    """The part of the room's state that is concerned, from its rows now, with all changes after a position undone."""
    state: dict[StateKey, Any] = {(row["type"], row["state_key"]): row for row in rows}
    if until == NEWEST:
        return list(state.values())
    before: dict[StateKey, str | None] = {}
    changes = (await deltas(tx, [(room_id, until, NEWEST)])).get(room_id, ())
    # What was there when we joined, and was only fetched later (§Partial-state joins), is no change.
    fetched = await never_placed(tx, [one["event_id"] for one in changes if one["previous"] is None])
    for delta in changes:
        if concerns((delta["type"], delta["state_key"])) and delta["event_id"] not in fetched:
            before.setdefault((delta["type"], delta["state_key"]), delta["previous"])
    found = {row["event_id"]: row for row in await state_events(tx, [i for i in before.values() if i])}
    state |= {key: found.get(event_id or "") for key, event_id in before.items()}
    return [row for row in state.values() if row is not None]


def _shown(rows: Iterable[asyncpg.Record], room_id: str, now: int) -> list[Fragment]:
    return [Fragment(state_json(row, room_id, now)) for row in rows]


def _is_member(key: StateKey) -> bool:
    return key[0] == MEMBER


def _profile(content: dict[str, Any]) -> dict[str, str]:
    fields = {"display_name": content.get("displayname"), "avatar_url": content.get("avatar_url")}
    return {name: value for name, value in fields.items() if isinstance(value, str)}
