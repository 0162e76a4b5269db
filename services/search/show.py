"""Results as clients get them: the event with what is bundled with it, and what stood around it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from protocol.json import JsonObject
from services.requester import Requester
from services.rooms.bundle import Audience, Bundles, bundles
from services.rooms.reading import Reading, ignored_users, member_keys
from services.rooms.tail import TailEvent, stored_tail_event
from services.rooms.visibility import hidden_from
from services.search.find import Hit
from services.search.request import ContextAsked
from services.sync.token import Token
from services.tenant import Tenant
from storage.database import Tx
from storage.search.find import around
from storage.state import state_ids_of_keys
from storage.state_reading import state_events
from storage.timeline import shown_events

NO_CONTEXT = ContextAsked(0, 0, False)


@dataclass(frozen=True, slots=True)
class Shown:
    """Results in their order, and the texts that were found."""

    results: list[JsonObject]
    texts: list[str]


@dataclass(frozen=True, slots=True)
class _Surroundings:
    """All events that are shown, by ID; which are beside a hit (by its position); and profiles by snapshot and user."""

    events: Mapping[str, TailEvent]
    beside: Mapping[int, Sequence[tuple[str, int]]]
    profiles: Mapping[int, Mapping[str, JsonObject]]
    bundled: Bundles
    now: int


async def show(
    tenant: Tenant,
    requester: Requester,
    views: Mapping[str, Reading],
    hits: Sequence[Hit],
    asked: ContextAsked | None,
) -> Shown:
    """The hits, which the user may see; with context if that is asked for."""
    if not hits:
        return Shown([], [])
    around_them = await _surroundings(tenant, requester, views, hits, asked or NO_CONTEXT)
    results: list[JsonObject] = []
    texts: list[str] = []
    for hit in hits:
        event = around_them.events.get(hit.event_id)
        if event is None:
            continue
        result: JsonObject = {
            "rank": hit.rank,
            "result": views[hit.room_id].shown(event, around_them.now, around_them.bundled),
        }
        if asked is not None:
            result["context"] = _context(hit, views[hit.room_id], asked, around_them)
        results.append(result)
        edit = around_them.events.get(hit.edit_id or "")
        texts += _texts(edit.json if edit is not None else event.json)
    return Shown(results, texts)


async def _surroundings(
    tenant: Tenant,
    requester: Requester,
    views: Mapping[str, Reading],
    hits: Sequence[Hit],
    asked: ContextAsked,
) -> _Surroundings:
    now = tenant.clock.now()
    async with tenant.database.snapshot() as tx:
        beside: Mapping[int, Sequence[tuple[str, int]]] = {}
        if asked.before or asked.after:
            places = [(hit.room_id, hit.place[1]) for hit in hits]
            beside = await around(tx, places, asked.before, asked.after)
        wanted = {hit.event_id for hit in hits} | {hit.edit_id for hit in hits if hit.edit_id is not None}
        wanted |= {event_id for some in beside.values() for event_id, _ in some}
        room_of = {row["event_id"]: row for row in await shown_events(tx, list(wanted))}
        rooms: dict[str, list[TailEvent]] = {}
        for row in room_of.values():
            rooms.setdefault(row["room_id"], []).append(stored_tail_event(row))
        ignored = await ignored_users(tx, requester.user_id)
        events = await _visible(tx, requester, views, rooms, ignored)
        audiences = [_audience(views[room], some, now) for room, some in events.items()]
        bundled = await bundles(tx, requester.user_id, ignored, audiences)
        profiles = await _profiles(tx, events, hits) if asked.profiles else {}
    by_id = {event.event_id: event for some in events.values() for event in some}
    return _Surroundings(by_id, beside, profiles, bundled, now)


async def _visible(
    tx: Tx,
    requester: Requester,
    views: Mapping[str, Reading],
    rooms: Mapping[str, Sequence[TailEvent]],
    ignored: frozenset[str],
) -> dict[str, list[TailEvent]]:
    hidden = await hidden_from(
        tx, requester.user_id, [views[room].asked(events) for room, events in rooms.items()]
    )
    return {
        room: [
            event
            for event in events
            if event.event_id not in hidden and (event.sender not in ignored or event.state_key is not None)
        ]
        for room, events in rooms.items()
    }


def _audience(view: Reading, events: Sequence[TailEvent], now: int) -> Audience:
    return Audience(view.room_id, view.asked(events), lambda event, more: view.json(event, now, more))


async def _profiles(
    tx: Tx, events: Mapping[str, Sequence[TailEvent]], hits: Sequence[Hit]
) -> dict[int, dict[str, JsonObject]]:
    """Who each sender was in the state at each hit."""
    senders = {event.sender for some in events.values() for event in some}
    snapshots = {hit.snapshot for hit in hits if hit.snapshot is not None}
    states = await state_ids_of_keys(tx, snapshots, member_keys(senders))
    ids = {event_id for state in states.values() for event_id in state.values()}
    members = {row["event_id"]: _profile(row["json"]) for row in await state_events(tx, ids)}
    return {
        snapshot: {user: members[event_id] for (_, user), event_id in state.items() if event_id in members}
        for snapshot, state in states.items()
    }


def _profile(json: bytes) -> JsonObject:
    content = orjson.loads(json)["content"]
    return {
        name: content[name] for name in ("displayname", "avatar_url") if isinstance(content.get(name), str)
    }


def _context(hit: Hit, view: Reading, asked: ContextAsked, shown: _Surroundings) -> JsonObject:
    position = hit.place[1]
    beside = [
        shown.events[event_id] for event_id, _ in shown.beside.get(position, ()) if event_id in shown.events
    ]
    before = [event for event in reversed(beside) if event.position < position]
    after = [event for event in beside if event.position > position]
    context: JsonObject = {
        "start": str(Token((before[-1].position if before else position) - 1)),
        "end": str(Token(after[-1].position if after else position)),
        "events_before": [view.shown(event, shown.now, shown.bundled) for event in before],
        "events_after": [view.shown(event, shown.now, shown.bundled) for event in after],
    }
    if asked.profiles:
        profiles = shown.profiles.get(hit.snapshot or -1, {})
        senders = {hit.sender, *(event.sender for event in beside)}
        context["profile_info"] = {user: profiles[user] for user in sorted(senders) if user in profiles}
    return context


def _texts(json: bytes) -> Iterable[str]:
    content: dict[str, Any] = orjson.loads(json)["content"]
    edited = content.get("m.new_content")
    content = edited if isinstance(edited, dict) else content
    return [content[key] for key in ("body", "name", "topic") if isinstance(content.get(key), str)]
