"""The list of what a user was notified of (§Listing notifications)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from protocol.events import Event, StateKey
from protocol.ids import RoomID, UserID
from protocol.json import JsonObject
from protocol.push_rules.classify import Classification, RoomMode
from protocol.push_rules.conditions import EventProperties
from protocol.push_rules.match import evaluate
from protocol.push_rules.rule import Action
from protocol.room_versions import version_named
from services.push.context import LEVEL_KEYS, context_of, levels_of, member_key, subscribers
from services.push.user_rules import UserRules
from services.rooms.client_event import splice, unsigned_member
from services.rooms.reading import ignored_users
from services.rooms.tail import stored_tail_event
from services.tenant import Tenant
from storage.database import Tx
from storage.events import event_of
from storage.push import notifications as stored
from storage.rooms import current_state_events
from storage.timeline import NEWEST, shown_events

HIGHLIGHT: tuple[Action, ...] = ("notify", {"set_tweak": "highlight"})


@dataclass(frozen=True, slots=True)
class Notifications:
    """A page, the newest first; `next` is where the next page is to begin, None at the end."""

    shown: list[JsonObject]
    next: int | None


async def notifications_of(
    tenant: Tenant, user_id: UserID, before: int | None, limit: int, only_highlights: bool
) -> Notifications:
    """What the user was notified of before a position (None: up to now), in the rooms that the user is in."""
    async with tenant.database.snapshot() as tx:
        rules = (await tenant.evaluators.rules_of(tx, (user_id,)))[user_id]
        ignored = await ignored_users(tx, user_id)
        wanted = stored.Wanted(user_id, NEWEST if before is None else before, limit + 1, ignored)
        found = await find(tx, wanted, rules.classification, only_highlights=only_highlights)
        rows = await stored.notified_events(tx, user_id, found[:limit])
        more = len(found) > limit
        return Notifications(await _show(tenant, tx, rules, rows), found[limit - 1] if more else None)


async def find(tx: Tx, wanted: stored.Wanted, modes: Classification, *, only_highlights: bool) -> list[int]:
    """The positions of what is wanted, the newest first."""
    if modes.everywhere is RoomMode.MUTED:
        return []
    muted = _rooms(modes, RoomMode.MUTED)
    mentions_only = _rooms(modes, RoomMode.MENTIONS_ONLY)
    if only_highlights:
        return await stored.highlights(tx, wanted, None, muted)
    found = await stored.notifications(tx, wanted, muted + mentions_only)
    if mentions_only:
        found += await stored.highlights(tx, wanted, mentions_only, ())
        found.sort(reverse=True)
    return found[: wanted.limit]


def _rooms(modes: Classification, mode: RoomMode) -> list[RoomID]:
    return [room_id for room_id, its_mode in modes.rooms.items() if its_mode is mode]


async def _show(tenant: Tenant, tx: Tx, rules: UserRules, rows: list[Mapping[str, Any]]) -> list[JsonObject]:
    events = {row["event_id"]: row for row in await shown_events(tx, [row["event_id"] for row in rows])}
    states: dict[str, dict[StateKey, Event]] = {}
    now, shown = tenant.clock.now(), []
    for row in rows:
        room_id, version = row["room_id"], version_named(row["room_version"])
        if room_id not in states:
            states[room_id] = await current_state_events(
                tx, room_id, version, (*LEVEL_KEYS, member_key(rules))
            )
        event = event_of(row["event_id"], room_id, events[row["event_id"]]["json"], version)
        tail = stored_tail_event(events[row["event_id"]])
        threaded = await subscribers(tx, (rules,), event)
        unsigned = unsigned_member(now - event.origin_server_ts, tail.fixed, "join")
        shown.append(
            {
                "actions": list(_actions(rules, row, event, states[room_id], threaded)),
                "event": orjson.Fragment(splice(tail.json, unsigned, room_id)),
                "read": row["read"],
                "room_id": room_id,
                "ts": event.origin_server_ts,
            }
        )
    return shown


def _actions(
    rules: UserRules,
    row: Mapping[str, Any],
    event: Event,
    state: Mapping[StateKey, Event],
    threaded: frozenset[UserID] | None,
) -> tuple[Action, ...]:
    """What the rules say now; where they say nothing any more, what is known of what they said then."""
    levels = levels_of(event.version, state, event.sender)
    subscribed = None if threaded is None else rules.user_id in threaded
    context = context_of(
        rules, state.get(member_key(rules)), row["joined"], levels, subscribed, event.origin_server_ts
    )
    actions = evaluate(rules.compiled, EventProperties(event), context)
    if actions is not None and actions.notify:
        return actions.json
    return HIGHLIGHT if row["highlight"] else HIGHLIGHT[:1]
