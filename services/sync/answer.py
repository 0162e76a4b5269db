"""What /sync answers, put together from what the streams have found for one look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from orjson import Fragment

from services.rooms.tail import TailEvent
from services.sync.look import Look, Section, Window
from services.sync.render import Rendered, rendered
from services.sync.streams import (
    account_data,
    device_lists,
    invites,
    key_counts,
    presence,
    receipts,
    rooms,
    state,
    summary,
    timeline,
    to_device,
    typing,
    unread,
)
from services.sync.streams.state import StateEvent
from services.sync.streams.summary import Summary
from services.sync.streams.timeline import Timeline
from services.sync.token import Token
from storage.account_data import GLOBAL

Json = dict[str, Any]

NOTHING = Rendered({}, {})


@dataclass(frozen=True, slots=True)
class Answer:
    """The body of a reply, where to go on from, and whether there is anything in it that is news."""

    body: Json
    next_batch: Token
    is_news: bool


@dataclass(slots=True)
class _RoomNews:
    """What was found of rooms, by room."""

    windows: Sequence[Window]
    timelines: Mapping[str, Timeline] = field(default_factory=dict)
    states: Mapping[str, Sequence[StateEvent]] = field(default_factory=dict)
    summaries: Mapping[str, Summary] = field(default_factory=dict)
    account_data: Mapping[str, Sequence[Json]] = field(default_factory=dict)
    ephemeral: dict[str, list[Json]] = field(default_factory=dict)
    unread: Mapping[str, Json] = field(default_factory=dict)
    rendered: Rendered = NOTHING


async def look_up(look: Look) -> Answer:
    """Asks each stream."""
    found = await rooms.changes(look)
    whole_rooms = [w.room_id for w in found.windows if w.section is Section.JOIN and (w.whole or w.fresh)]
    own_data = dict(await account_data.changes(look, whole_rooms))
    global_data = own_data.pop(GLOBAL, ())
    news = await _rooms(look, found.windows, whole_rooms, own_data)
    sections = _sections(look, news)
    for name, section in (await invites.changes(look, found)).items():
        sections[name] = sections.get(name, {}) | section
    delivery = await to_device.changes(look)
    devices = await device_lists.changes(look)
    present = await presence.changes(look)
    body: Json = {}
    if sections:
        body["rooms"] = sections
    if global_data:
        body["account_data"] = {"events": global_data}
    if delivery.messages:
        body["to_device"] = {"events": delivery.messages}
    if devices is not None:
        body["device_lists"] = devices
    if present:
        body["presence"] = {"events": present}
    is_news = bool(body)
    counts = await key_counts.now(look)
    if counts is not None:
        body["device_one_time_keys_count"] = Fragment(counts[0])
        body["device_unused_fallback_key_types"] = unused = Fragment(counts[1])
        body["org.matrix.msc2732.device_unused_fallback_key_types"] = unused
        is_news = is_news or look.memory.key_counts not in (None, counts)
        look.memory.key_counts = counts
    token = replace(look.upto, to_device=delivery.delivered)
    body["next_batch"] = str(token)
    return Answer(body, token, is_news)


async def _rooms(
    look: Look, windows: Sequence[Window], whole_rooms: Sequence[str], own_data: Mapping[str, Sequence[Json]]
) -> _RoomNews:
    news = _RoomNews(windows, account_data=own_data)
    read = await receipts.changes(look, whole_rooms)
    news.ephemeral.update({room_id: list(events) for room_id, events in read.events.items()})
    for room_id, event in typing.changes(look, whole_rooms).items():
        news.ephemeral.setdefault(room_id, []).append(event)
    news.timelines = await timeline.changes(look, windows)
    news.summaries = await summary.changes(look, windows, news.timelines)
    heroes = {room_id: found.heroes for room_id, found in news.summaries.items()}
    news.states = await state.changes(look, windows, news.timelines, heroes)
    counted = {w.room_id for w in windows if w.section is Section.JOIN} | read.own
    counted |= await unread.recounted(look)
    news.unread = await unread.changes(look, sorted(counted))
    news.rendered = await rendered(look, windows, news.timelines, news.states)
    return news


def _sections(look: Look, news: _RoomNews) -> Json:
    join: Json = {}
    leave: Json = {}
    by_room = {window.room_id: window for window in news.windows}
    quiet = news.account_data.keys() | news.ephemeral.keys() | news.unread.keys()
    for room_id in (*by_room, *sorted(quiet - by_room.keys())):
        window = by_room.get(room_id)
        if window is None:
            join[room_id] = _room(look, news, room_id) | _live(news, room_id)
        elif _is_worth_telling(news, window):
            if window.section is Section.JOIN:
                join[room_id] = _room(look, news, room_id) | _live(news, room_id)
            else:
                leave[room_id] = _room(look, news, room_id)
    return {name: found for name, found in (("join", join), ("leave", leave)) if found}


def _is_worth_telling(news: _RoomNews, window: Window) -> bool:
    """A room whose events were all kept back has nothing to tell, unless something else has changed there."""
    room_id, timeline = window.room_id, news.timelines[window.room_id]
    return bool(
        window.whole
        or timeline.events
        or timeline.limited
        or news.states.get(room_id)
        or news.account_data.get(room_id)
        or news.ephemeral.get(room_id)
        or room_id in news.unread
    )


def _room(look: Look, news: _RoomNews, room_id: str) -> Json:
    timeline = news.timelines.get(room_id)
    events: Sequence[TailEvent] = timeline.events if timeline is not None else ()
    before = events[0].position - 1 if events else look.upto.position
    room: Json = {
        "timeline": {
            "events": news.rendered.timelines.get(room_id, ()),
            "limited": timeline is not None and timeline.limited,
            "prev_batch": str(Token(before)),
        },
        "account_data": {"events": news.account_data.get(room_id, ())},
    }
    state_events = {"events": news.rendered.states.get(room_id, ())}
    if look.state_after:
        room["state_after"] = room["org.matrix.msc4222.state_after"] = state_events
    else:
        room["state"] = state_events
    return room


def _live(news: _RoomNews, room_id: str) -> Json:
    summary = news.summaries.get(room_id)
    return {
        "summary": summary.json() if summary is not None else {},
        "ephemeral": {"events": news.ephemeral.get(room_id, ())},
        **news.unread.get(room_id, {}),
    }
