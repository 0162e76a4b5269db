"""What this process knows by heart of access tokens, so that a warm request asks the database for nothing.

An entry lives until the account's or a device's standing changes: whoever changes it appends a Change to the journal
that wakes `topics.logins(user)`, in the same transaction, and the feed tells all processes, or resets them when the
wake-up was lost. Beyond that an entry is believed for `BELIEVED` only. Whether a token has expired is looked at anew
for every request.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from services.requester import Requester
from storage import topics
from storage.devices import Seen
from storage.feed import Feed, Subscriber

CAPACITY = 50_000
BELIEVED = 5 * 60_000  # ms


@dataclass(frozen=True, slots=True)
class Entry:
    """What a token stands for; `read_at` is when the database said so."""

    requester: Requester
    expires: int | None
    locked: bool
    read_at: int


class Logins:
    """A bounded cache of tokens, least recently used out first; devices heard of and not written yet; running tasks."""

    def __init__(self) -> None:
        self.seen: dict[tuple[str, str], Seen] = {}
        self.written_at: int | None = None
        self.tasks: set[asyncio.Task[None]] = set()
        self.changes = 0
        self._entries: OrderedDict[bytes, Entry] = OrderedDict()
        self._keys: dict[str, set[bytes]] = {}
        self._watchers: dict[str, set[Callable[[], None]]] = {}
        self._listening = False

    def listen(self, feed: Feed) -> None:
        """From now on this cache hears of what other processes change; to be called before anything is kept."""
        if not self._listening:
            self._listening = True
            feed.subscribe(Subscriber(self._told, self._reset))

    def get(self, key: bytes, now: int) -> Entry | None:
        """The entry, when there is one that can still be believed."""
        entry = self._entries.get(key)
        if entry is None or not entry.read_at <= now < entry.read_at + BELIEVED:
            return None
        self._entries.move_to_end(key)
        return entry

    def keep(self, key: bytes, entry: Entry, changes: int) -> None:
        """Keeps the entry, unless something has changed since `changes` was read, before the database was asked."""
        if changes != self.changes:
            return
        self._entries[key] = entry
        self._keys.setdefault(entry.requester.user_id, set()).add(key)
        if len(self._entries) > CAPACITY:
            self._drop(next(iter(self._entries)))

    def forget(self, user_id: str) -> None:
        """The next request of the user is looked up in the database."""
        self.changes += 1
        for changed in tuple(self._watchers.get(user_id, ())):
            changed()
        for key in self._keys.pop(user_id, ()):
            self._entries.pop(key, None)

    def watch(self, user_id: str, changed: Callable[[], None]) -> None:
        """It is called when the user's standing or one of the user's logins has changed, or may have."""
        self._watchers.setdefault(user_id, set()).add(changed)

    def unwatch(self, user_id: str, changed: Callable[[], None]) -> None:
        """It is not called any more."""
        watchers = self._watchers[user_id]
        watchers.discard(changed)
        if not watchers:
            del self._watchers[user_id]

    def _drop(self, key: bytes) -> None:
        user_id = self._entries.pop(key).requester.user_id
        keys = self._keys[user_id]
        keys.discard(key)
        if not keys:
            del self._keys[user_id]

    def _told(self, _position: int, told: tuple[str, ...]) -> None:
        for topic in told:
            if topic[0] == topics.LOGINS:
                self.forget(topic[1:])

    def _reset(self, _position: int) -> None:
        self.changes += 1
        self._entries.clear()
        self._keys.clear()
        for changed in [changed for watchers in self._watchers.values() for changed in watchers]:
            changed()
