"""The extensions of sliding sync: to-device messages (MSC3885), end-to-end encryption (MSC3884), account data (MSC3959),
receipts (MSC3960) and typing (MSC3961), from the streams of /sync.

What is of rooms is told of those that match the request. A room that comes back into a window is told what it missed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from orjson import Fragment

from services.sync.look import Look
from services.sync.sliding.connections import Sent, State
from services.sync.sliding.matching import Matched
from services.sync.sliding.request import THREAD_SUBSCRIPTIONS, Scope, SlidingRequest, ToDevice
from services.sync.sliding.subscriptions import subscriptions
from services.sync.streams import account_data, device_lists, key_counts, receipts, typing
from storage.account_data import GLOBAL
from storage.inbox import delete_delivered, inbox
from storage.sliding import receipts_at
from storage.sync_user_data import receipt_changes
from storage.timeline import OLDEST

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Around:
    """What the rooms' part of the answer has come to: `initial` rooms and those with `expanded` timelines, with the
    events of these; `returning` ones
    (in a window again, since when they were not), all of which the client knows now (`known`), and receipts that moved.
    """

    state: State
    request: SlidingRequest
    matched: Matched
    initial: Mapping[str, frozenset[str]]
    expanded: Mapping[str, frozenset[str]]
    returning: Mapping[str, int]
    known: Mapping[str, Sent]
    moved: receipts.Receipts

    def is_told(self, scope: Scope, room_id: str) -> bool:
        """Does the extension tell of the room?"""
        return room_id in self.known and self.matched.in_scope(scope, room_id)

    def is_new(self, name: str) -> bool:
        """Was the extension not enabled before, so that the client knows nothing of it?"""
        return name not in self.state.extensions


@dataclass(slots=True)
class Extended:
    """The extensions' part of the answer, whether there is news in it, and what is to be remembered."""

    json: Json = field(default_factory=dict)
    is_news: bool = False
    mail: int | None = None
    key_counts: tuple[bytes, bytes] | None = None


async def extended(look: Look, around: Around) -> Extended:
    """What each extension that is enabled tells."""
    asked, answer = around.request.extensions, Extended()
    if asked.to_device is not None:
        await _to_device(look, asked.to_device, around.state.mail, answer)
    if asked.e2ee:
        await _e2ee(look, around, answer)
    if asked.account_data is not None:
        await _account_data(look, around, asked.account_data, answer)
    if asked.receipts is not None:
        _tell_rooms(answer, "receipts", await _receipts(look, around, asked.receipts))
    if asked.typing is not None:
        _tell_rooms(answer, "typing", _typing(look, around, asked.typing))
    if asked.thread_subscriptions is not None:
        is_new = around.is_new(THREAD_SUBSCRIPTIONS)
        said = await subscriptions(look, asked.thread_subscriptions, is_new=is_new)
        if said:
            answer.json[THREAD_SUBSCRIPTIONS] = said
            answer.is_news = True
    return answer


def _tell_rooms(answer: Extended, name: str, rooms: Json) -> None:
    if rooms:
        answer.json[name] = {"rooms": rooms}
        answer.is_news = True


async def _to_device(look: Look, asked: ToDevice, empty_until: int | None, answer: Extended) -> None:
    """«next_batch» is where the messages end; the `since` of the next request says that they have arrived."""
    upto, since = look.upto.position, asked.since
    if since is not None and look.since is None and since > upto:
        since = None  # of a database that was restored since
    is_known = since is not None and empty_until is not None and since <= empty_until
    rows = []
    if look.device_id is not None and not (is_known and look.noted is not None and not look.noted.to_device):
        if since is not None and not is_known:
            async with look.tenant.database.read() as tx:
                await delete_delivered(tx, look.user_id, look.device_id, since)
        after = -1 if since is None else since
        tx = await look.connection.tx()
        rows = await inbox(tx, look.user_id, look.device_id, after, upto, asked.limit + 1)
    end = rows[asked.limit - 1]["position"] if len(rows) > asked.limit else max(upto, since or 0)
    events = [Fragment(row["json"]) for row in rows[: asked.limit]]
    answer.json["to_device"] = {"next_batch": str(end), "events": events}
    answer.is_news |= bool(events)
    answer.mail = end if not events else None


async def _e2ee(look: Look, around: Around, answer: Extended) -> None:
    said: Json = {}
    changed = None if around.is_new("e2ee") else await device_lists.changes(look)
    if changed is not None:
        said["device_lists"] = changed
        answer.is_news = True
    counts = await key_counts.now(look)
    if counts is not None:
        said["device_one_time_keys_count"] = Fragment(counts[0])
        said["device_unused_fallback_key_types"] = Fragment(counts[1])
        answer.is_news |= around.state.key_counts not in (None, counts)
        answer.key_counts = counts
    answer.json["e2ee"] = said


async def _account_data(look: Look, around: Around, scope: Scope, answer: Extended) -> None:
    is_new = around.is_new("account_data")
    whole = [r for r in (*around.initial, *around.returning) if around.is_told(scope, r)]
    if is_new:
        look = replace(look, since=None, noted=None)
    elif whole:
        look = replace(look, noted=None)
    found = await account_data.changes(look, whole)
    everywhere = found.pop(GLOBAL, [])
    rooms = {room_id: events for room_id, events in found.items() if around.is_told(scope, room_id)}
    if everywhere or rooms:
        answer.json["account_data"] = {"global": everywhere, "rooms": rooms}
        answer.is_news = True


async def _receipts(look: Look, around: Around, scope: Scope) -> Json:
    """Of what the client did not know, those that concern what it sees now: at the timeline's events, and its own."""
    told: dict[str, list[Any]] = {}
    shown = {**around.initial, **around.expanded}
    initial = [r for r in shown if around.is_told(scope, r) and r in look.joined]
    since = {r: at for r, at in around.returning.items() if around.is_told(scope, r) and r in look.joined}
    if around.is_new("receipts"):
        since = {r: OLDEST for r in around.known if around.is_told(scope, r) and r in look.joined}
        since = {r: at for r, at in since.items() if r not in around.initial}
    if initial:
        ids = [event_id for room_id in initial for event_id in shown[room_id]]
        tx, upto = await look.connection.tx(), look.upto.position
        _sort_in(look, told, await receipts_at(tx, look.user_id, initial, ids, upto))
    if since:
        tx, upto = await look.connection.tx(), look.upto.position
        _sort_in(look, told, await receipt_changes(tx, look.user_id, list(since.items()), upto))
    said: Json = {
        room_id: events[0]
        for room_id, events in around.moved.events.items()
        if around.is_told(scope, room_id)
    }
    for room_id, rows in told.items():
        event = receipts.events_of(rows)[0]
        said[room_id] = _merged(event, said[room_id]) if room_id in said else event
    return said


def _merged(event: Json, newer: Json) -> Json:
    """Both in one: a user's receipt that both have is the same."""
    content: Json = {event_id: dict(types) for event_id, types in event["content"].items()}
    for event_id, types in newer["content"].items():
        there = content.setdefault(event_id, {})
        for receipt_type, users in types.items():
            there[receipt_type] = users | there.get(receipt_type, {})
    return event | {"content": content}


def _sort_in(look: Look, told: dict[str, list[Any]], rows: Collection[Any]) -> None:
    # One event can say one thing only of (event, type, user): there what is of no thread comes first.
    for row in sorted(rows, key=lambda row: str(row["thread_id"])):
        if row["user_id"] not in look.ignored:
            told.setdefault(row["room_id"], []).append(row)


def _typing(look: Look, around: Around, scope: Scope) -> Json:
    is_new = around.is_new("typing")
    whole = [r for r in (around.known if is_new else around.initial) if r in look.joined]
    found: Json = typing.changes(replace(look, since=None) if is_new else look, whole)
    for room_id in around.returning:
        if room_id in look.joined:
            users = [u for u in look.tenant.ephemeral.typing(room_id) if u not in look.ignored]
            found[room_id] = {"type": typing.TYPING, "content": {"user_ids": users}}
    return {room_id: event for room_id, event in found.items() if around.is_told(scope, room_id)}
