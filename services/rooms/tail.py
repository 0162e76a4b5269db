"""The tails of hot rooms: their last events, already serialised, one copy for all readers.

A tail is complete from its `start` to the newest commit that this process knows of, or it is `stale`. It grows by what
this process appends, if that follows on what it has (the room's version says so), and becomes stale by what others
append: then the next reader fetches what is missing, once for all who wait.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Mapping
from dataclasses import dataclass, replace

import asyncpg
import orjson

from protocol.events import REDACTION, Event
from services.rooms.client_event import fixed_unsigned, shared_json
from storage import timeline, topics
from storage.database import Database
from storage.events import Standing
from storage.push.unread import unread_details

LENGTH = 150  # events that a tail keeps
BUDGET = 32 * 1024 * 1024  # bytes, for all tails
_OVERHEAD = 900  # bytes: the object and its strings

Unread = Mapping[str, tuple[int, int]]


@dataclass(frozen=True, slots=True)
class TailEvent:
    """An event of a timeline. `json` is the client format without `room_id` and `unsigned`; `fixed` of `unsigned`, what is
    the same for all readers. `plain`: the state changed by this event at most. `counts`, `highlights_all` and `exceptions`
    (user -> notify, highlight against the rest; None: not known) say for whom it is unread, in the thread of `root`. `gap`:
    events were missing before it when it came; those that were fetched then are not `live`."""

    position: int
    event_id: str
    type: str
    state_key: str | None
    sender: str
    origin_server_ts: int
    json: bytes
    fixed: bytes = b""
    device_id: str | None = None
    txn_id: str | None = None
    has_url: bool = False
    rel_type: str | None = None
    snapshot: int | None = None
    replaces_state: str | None = None
    tally: int = 0
    counts: bool = False
    plain: bool = True
    exceptions: Unread | None = None
    highlights_all: bool = False
    root: str = ""
    gap: bool = False
    live: bool = True

    @property
    def size(self) -> int:
        """About how many bytes of memory it takes."""
        return len(self.json) + len(self.fixed) + _OVERHEAD


def tail_event(
    position: int,
    event: Event,
    *,
    snapshot: int | None = None,
    device_id: str | None = None,
    txn_id: str | None = None,
    replaced: Event | None = None,
    tally: int = 0,
    counts: bool = False,
    plain: bool = True,
    exceptions: Unread | None = None,
    highlights_all: bool = False,
    root: str = "",
    gap: bool = False,
) -> TailEvent:
    """An event that was just appended, for `Tails.append`; `replaced` is the state event whose place it took."""
    replaces = replaced.event_id if replaced is not None else None
    return TailEvent(
        position,
        event.event_id,
        event.type,
        event.state_key,
        event.sender,
        event.origin_server_ts,
        shared_json(event.event_id, event.json),
        fixed_unsigned(replaces, replaced.json if replaced is not None else None, None),
        device_id,
        txn_id,
        isinstance(event.content.get("url"), str),
        rel_type_of(event.content),
        snapshot,
        replaces,
        tally,
        counts,
        plain,
        exceptions,
        highlights_all,
        root,
        gap,
    )


def stored_tail_event(row: asyncpg.Record) -> TailEvent:
    """An event as `storage.timeline` reads it."""
    json = orjson.loads(row["json"])
    replaced = row["replaced"]
    redaction = row["redaction"]
    return TailEvent(
        row["position"],
        row["event_id"],
        row["type"],
        row["state_key"],
        row["sender"],
        row["origin_server_ts"],
        shared_json(row["event_id"], json),
        fixed_unsigned(
            row["replaces_state"],
            orjson.loads(replaced) if replaced is not None else None,
            (row["redacted_by"], orjson.loads(redaction)) if redaction is not None else None,
        ),
        row["device_id"],
        row["txn_id"],
        isinstance(json["content"].get("url"), str),
        rel_type_of(json["content"]),
        row["snapshot"],
        row["replaces_state"],
        row["tally"],
        row["counts"],
        plain=row["plain"],
        gap=row["gap"] is not None,
        live=row["standing"] == Standing.TIMELINE,
    )


def _with_details(event: TailEvent, details: asyncpg.Record) -> TailEvent:
    """The event, with what tells for whom it is unread."""
    exceptions = {user: (int(notify), int(highlight)) for user, notify, highlight in details["exceptions"]}
    root = details["root"] or ""
    return replace(event, exceptions=exceptions, highlights_all=details["highlights_all"], root=root)


def rel_type_of(content: Mapping[str, object]) -> str | None:
    """The relation that the content names, if any."""
    relation = content.get("m.relates_to")
    rel_type = relation.get("rel_type") if isinstance(relation, dict) else None
    return rel_type if isinstance(rel_type, str) else None


@dataclass(frozen=True, slots=True)
class Page:
    """Events in their order; `limited`: there are older ones in the range that was asked for."""

    events: tuple[TailEvent, ...]
    limited: bool


@dataclass(slots=True)
class _Tail:
    """All events of the room after position `start`, up to room version `version`, unless `stale`."""

    start: int
    version: int
    events: deque[TailEvent]
    size: int = 0
    stale: bool = False

    def extend(self, events: list[TailEvent]) -> None:
        self.events.extend(events)
        self.size += sum(event.size for event in events)
        while len(self.events) > LENGTH:
            oldest = self.events.popleft()
            self.size -= oldest.size
            self.start = oldest.position

    @property
    def end(self) -> int:
        return self.events[-1].position if self.events else self.start


class Tails:
    """One tenant's tails in one process. Its `told` and `reset` are for the feed."""

    def __init__(self, database: Database, budget: int = BUDGET) -> None:
        self._database = database
        self._budget = budget
        self._size = 0
        self._told = 0
        self._moved: set[str] = set()  # rooms told of while their tail is being fetched
        self._tails: OrderedDict[str, _Tail] = OrderedDict()
        self._loading: dict[str, asyncio.Future[None]] = {}

    def append(self, room_id: str, version_before: int, event: TailEvent, before: int | None = None) -> None:
        """The event has been committed on top of this version of the room, whose last event was at position `before` (None:
        not known). A tail that ends elsewhere becomes stale; where there is none, one may begin.
        """
        if event.type == REDACTION:  # an earlier event looks different now
            self.drop(room_id)
            return
        tail = self._tails.get(room_id)
        if tail is None:
            if before is not None:
                self._keep(room_id, _Tail(before, version_before + 1, deque()), [event])
        elif tail.stale or tail.version != version_before:
            tail.stale = True
        else:
            size = tail.size
            tail.extend([event])
            tail.version += 1
            self._grown(tail.size - size)

    def drop(self, room_id: str) -> None:
        """Forgets the room's tail: what it holds may not be true any more."""
        tail = self._tails.pop(room_id, None)
        if tail is not None:
            self._size -= tail.size

    def told(self, position: int, woken: tuple[str, ...]) -> None:
        """A commit, of this or of another process: tails that did not grow by it are stale."""
        for topic in woken:
            if topic[0] not in (topics.ROOM, topics.HISTORY):
                continue
            room_id = topic[1:]
            tail = self._tails.get(room_id)
            if topic[0] == topics.HISTORY:
                self.drop(room_id)
            elif tail is not None and tail.end <= self._told:
                tail.stale = True
            if room_id in self._loading:
                self._moved.add(room_id)
        self._told = position

    def reset(self, position: int) -> None:
        """Commits may have been missed."""
        self._tails.clear()
        self._moved.update(self._loading)
        self._size = 0
        self._told = position

    def peek(self, room_id: str, after: int, upto: int, limit: int) -> Page | None:
        """The last `limit` events in (after, upto], if they are in memory."""
        tail = self._tails.get(room_id)
        if tail is None or tail.stale:
            return None
        self._tails.move_to_end(room_id)
        events: list[TailEvent] = []
        for event in reversed(tail.events):
            if event.position <= after:
                break
            if event.position <= upto:
                if len(events) == limit:
                    return Page(tuple(reversed(events)), limited=True)
                events.append(event)
        else:
            if tail.start > after:
                return None if len(events) < limit else Page(tuple(reversed(events)), limited=True)
        return Page(tuple(reversed(events)), limited=False)

    async def read(self, room_id: str, after: int, upto: int, limit: int) -> Page:
        """The last `limit` events in (after, upto], from memory when the room is hot, else from PostgreSQL."""
        page = self.peek(room_id, after, upto, limit)
        if page is None:
            await self._load(room_id, after)
            page = self.peek(room_id, after, upto, limit)
        if page is not None:
            return page
        async with self._database.read() as tx:
            rows = await timeline.backwards(tx, room_id, after, upto, limit + 1)
        events = [stored_tail_event(row) for row in rows[:limit]]
        return Page(tuple(reversed(events)), limited=len(rows) > limit)

    async def _load(self, room_id: str, after: int) -> None:
        """Fetches what the tail lacks; those who come meanwhile wait for the same answer."""
        loading = self._loading.get(room_id)
        if loading is None:
            self._moved.discard(room_id)
            loading = self._loading[room_id] = asyncio.ensure_future(self._fetch(room_id, after))
            loading.add_done_callback(lambda _: self._loading.pop(room_id, None))
        await asyncio.shield(loading)

    async def _fetch(self, room_id: str, after: int) -> None:
        known = self._tails.get(room_id)
        if known is not None and known.start <= after:
            end = known.end
            version, events = await self._events(room_id, end)
            grew_only = len(events) < LENGTH and all(event.type != REDACTION for event in events)
            if grew_only and self._tails.get(room_id) is known and known.end == end:
                self._size -= known.size
                known.version = version
                self._keep(room_id, known, events)
                return
        version, events = await self._events(room_id, timeline.OLDEST)
        start = events[0].position - 1 if len(events) == LENGTH else timeline.OLDEST
        self.drop(room_id)
        self._keep(room_id, _Tail(start, version, deque()), events)

    async def _events(self, room_id: str, after: int) -> tuple[int, list[TailEvent]]:
        async with self._database.snapshot() as tx:
            version, rows = await timeline.tail(tx, room_id, after, LENGTH)
            details = await unread_details(tx, room_id, after, LENGTH)
        pairs = zip(reversed(rows), reversed(details), strict=True)
        return version, [_with_details(stored_tail_event(row), more) for row, more in pairs]

    def _keep(self, room_id: str, tail: _Tail, events: list[TailEvent]) -> None:
        tail.extend(events)
        tail.stale = room_id in self._moved
        self._tails[room_id] = tail
        self._tails.move_to_end(room_id)
        self._grown(tail.size)

    def _grown(self, by: int) -> None:
        self._size += by
        while self._size > self._budget and self._tails:
            _, oldest = self._tails.popitem(last=False)
            self._size -= oldest.size
