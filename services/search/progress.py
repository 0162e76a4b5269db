"""How far this process knows the index to be, and who waits for it."""

from __future__ import annotations

import asyncio
from contextlib import suppress

AT_ONCE = 4  # searches
MAX_KNOWN = 50_000


class Searching:
    """One tenant's search in one process: where the follower stands, and that it is wanted."""

    def __init__(self) -> None:
        self.running = asyncio.Semaphore(AT_ONCE)
        self.position = -1
        self._news = asyncio.Event()
        self._hurry = asyncio.Event()
        self._moved = asyncio.Event()
        self._known_words: set[str] = set()

    def wake(self) -> None:
        """There is something to be indexed, soon."""
        self._news.set()

    def move(self, position: int) -> None:
        """The index is true up to this position."""
        self.position = position
        self._moved.set()
        self._moved = asyncio.Event()

    @property
    def is_waited_for(self) -> bool:
        """Does somebody wait for the follower?"""
        return self._hurry.is_set()

    async def wanted(self, linger: float, look_again: float) -> None:
        """Returns when there is something to do: a little after there was news, so that more comes together; at once when
        somebody waits.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(look_again):
                await self._news.wait()
        with suppress(TimeoutError):
            async with asyncio.timeout(linger):
                await self._hurry.wait()
        self._news.clear()
        self._hurry.clear()

    async def reach(self, position: int, patience: float) -> bool:
        """Returns once the index is true up to the position, or when patience (seconds) ends; whether it is."""
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                while self.position < position:
                    moved = self._moved
                    self._news.set()
                    self._hurry.set()
                    await moved.wait()
        return self.position >= position

    def new_words(self, words: set[str]) -> set[str]:
        """Those of the words that this process has not written yet."""
        return words - self._known_words

    def know_words(self, words: set[str]) -> None:
        """They are written."""
        if len(self._known_words) > MAX_KNOWN:
            self._known_words.clear()
        self._known_words |= words
