"""Who waits in this process for news of rooms whose members are still to come; one object a tenant."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from protocol.events import StateKey
from protocol.ids import EventID, RoomID
from storage import topics
from storage.feed import Feed, Subscriber


class PartialRooms:
    """Those who wait, by room, and the job that completes rooms, which waits for work."""

    def __init__(self) -> None:
        self.work = asyncio.Event()
        self._waiting: dict[str, list[asyncio.Event]] = {}
        self._shown: dict[str, tuple[EventID, dict[StateKey, EventID]]] = {}

    def show(self, room_id: RoomID, join: EventID, state: dict[StateKey, EventID]) -> None:
        """The state before that join of ours is here in this process: nobody need be asked for it."""
        self._shown[room_id] = (join, state)

    def shown(self, room_id: RoomID, join: EventID) -> dict[StateKey, EventID] | None:
        """What was shown of the room at that join, once; None where nothing was."""
        of_join, state = self._shown.pop(room_id, (None, {}))
        return state if of_join == join else None

    def listen(self, feed: Feed) -> None:
        """From now on those who wait are woken by the news of their rooms."""
        feed.subscribe(Subscriber(self._told, self._reset))

    @contextmanager
    def news_of(self, room_id: RoomID) -> Iterator[asyncio.Event]:
        """Set whenever there is news of the room."""
        topic, news = topics.room(room_id), asyncio.Event()
        self._waiting.setdefault(topic, []).append(news)
        try:
            yield news
        finally:
            self._waiting[topic].remove(news)
            if not self._waiting[topic]:
                del self._waiting[topic]

    def _told(self, position: int, woken: tuple[str, ...]) -> None:
        if self._waiting:
            for topic in woken:
                for news in self._waiting.get(topic, ()):
                    news.set()

    def _reset(self, position: int) -> None:
        for waiting in self._waiting.values():
            for news in waiting:
                news.set()
