"""Unread counts as values, and how events add to them; what this process remembers of them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from protocol.events import MEMBER, REDACTION
from protocol.push_rules.classify import RoomMode
from services.rooms.tail import TailEvent
from storage import topics
from storage.feed import Feed, Subscriber

MAIN = ""
"""The main timeline, where threads are named by their roots."""
THREAD = "m.thread"

MAX_USERS = 20_000
MAX_ROOMS = 20  # of a user: those where something happens, while the user looks


@dataclass(frozen=True, slots=True)
class Counts:
    """How many unread events there are, and how many of them are highlights."""

    notify: int = 0
    highlight: int = 0

    def __bool__(self) -> bool:
        return self.notify > 0 or self.highlight > 0


NOTHING = Counts()


@dataclass(frozen=True, slots=True)
class Unread:
    """What is unread in a room, in its main timeline and in those of its threads where anything is."""

    main: Counts
    threads: Mapping[str, Counts]

    @property
    def total(self) -> Counts:
        """All together, for clients that do not know threads."""
        all_counts = (self.main, *self.threads.values())
        return Counts(sum(c.notify for c in all_counts), sum(c.highlight for c in all_counts))


@dataclass(frozen=True, slots=True)
class Known:
    """What was unread at a position, by root, with default rules and for one who ignores these. `ruleset` is the user's at
    that position, if events are judged for all of it together.
    """

    position: int
    ignored: frozenset[str]
    counts: Mapping[str, tuple[int, int]]
    ruleset: str | None = None

    def unread(self, mode: RoomMode) -> Unread:
        """What that is for a user in this mode."""
        found = {root: _in_mode(mode, *counts) for root, counts in self.counts.items()}
        main = found.pop(MAIN, NOTHING)
        return Unread(main, {root: counts for root, counts in found.items() if counts})


def _in_mode(mode: RoomMode, notify: int, highlight: int) -> Counts:
    if mode is RoomMode.MUTED:
        return NOTHING
    highlight = max(highlight, 0)
    # Whatever highlights also notifies.
    return Counts(highlight if mode is RoomMode.MENTIONS_ONLY else max(notify, highlight), highlight)


def advanced(known: Known, user_id: str, events: Iterable[TailEvent], upto: int) -> Known | None:
    """What is unread after these further events of the room; None when they do not tell all that it takes."""
    counts = dict(known.counts)
    for event in events:
        if event.position <= known.position:
            continue
        if event.exceptions is None or event.type == REDACTION or _is_own_membership(event, user_id):
            return None
        if event.sender == user_id:
            if event.state_key is not None and not event.counts:
                continue
            if event.rel_type is not None and event.rel_type != THREAD:
                return None  # it may be in a thread
            counts.pop(event.root, None)
        elif event.sender not in known.ignored:
            _add(counts, event, difference_for(user_id, known.ruleset, event.exceptions))
    return Known(upto, known.ignored, counts, known.ruleset)


def difference_for(
    user_id: str, ruleset: str | None, exceptions: Mapping[str, tuple[int, int]]
) -> tuple[int, int]:
    """What an event is more or less for the user than for everybody: what is said of the user, else of the ruleset."""
    own = exceptions.get(user_id)
    if own is None and ruleset is not None:
        own = exceptions.get(ruleset)
    return (0, 0) if own is None else own


def _add(counts: dict[str, tuple[int, int]], event: TailEvent, more: tuple[int, int]) -> None:
    notify, highlight = event.counts + more[0], event.highlights_all + more[1]
    if notify or highlight:
        before = counts.get(event.root, (0, 0))
        counts[event.root] = (before[0] + notify, before[1] + highlight)


def _is_own_membership(event: TailEvent, user_id: str) -> bool:
    return event.type == MEMBER and event.state_key == user_id


class CountsMemory:
    """Counts of users who look at this moment, forgotten when they read, or change their rules. It hears of that through the
    feed.
    """

    def __init__(self) -> None:
        self._users: OrderedDict[str, dict[str, Known]] = OrderedDict()
        self._read_at: OrderedDict[str, int] = OrderedDict()
        self._floor = 0

    def listen(self, feed: Feed) -> None:
        """To be called before anything is kept."""
        feed.subscribe(Subscriber(self._told, self._reset))

    def get(self, user_id: str, room_id: str) -> Known | None:
        """What is remembered."""
        rooms = self._users.get(user_id)
        return rooms.get(room_id) if rooms is not None else None

    def keep(self, user_id: str, room_id: str, known: Known) -> None:
        """Remembers it, unless the user has read since."""
        if known.position < self._read_at.get(user_id, self._floor):
            return
        rooms = self._users.setdefault(user_id, {})
        rooms.pop(room_id, None)
        rooms[room_id] = known
        if len(rooms) > MAX_ROOMS:
            del rooms[next(iter(rooms))]
        self._users.move_to_end(user_id)
        if len(self._users) > MAX_USERS:
            self._users.popitem(last=False)

    def _told(self, position: int, told: tuple[str, ...]) -> None:
        for topic in told:
            if topic[0] in (topics.UNREAD, topics.PUSH_RULES):
                user_id = topic[1:]
                self._users.pop(user_id, None)
                self._read_at[user_id] = position
                self._read_at.move_to_end(user_id)
        while len(self._read_at) > MAX_USERS:
            _, oldest = self._read_at.popitem(last=False)
            self._floor = max(self._floor, oldest)

    def _reset(self, position: int) -> None:
        self._users.clear()
        self._read_at.clear()
        self._floor = position
