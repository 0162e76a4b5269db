"""A tenant's corner of a Redis server, and a channel of it that is heard as long as the process runs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from storage.ending import end

SILENCE = 10.0  # seconds without a message, after which the server is asked whether it is still there
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 2.0
FIRST_CONTACT = 3.0

REDIS_ERRORS = (RedisError, OSError)

Report = Callable[[str, BaseException], None]


@dataclass(frozen=True, slots=True)
class RedisCorner:
    """One tenant's part of a Redis server, seen by one process.

    `prefix` keeps tenants apart, `process` tells this process' messages from those of others, and `report` is
    told of what goes wrong: nothing that Redis does or does not do is raised to a request.
    """

    commands: Redis
    listening: Redis
    prefix: str
    process: str
    report: Report

    @classmethod
    def open(cls, url: str, prefix: str, process: str, report: Report) -> RedisCorner:
        """Connects when first used. `process` is unique (a random token), `prefix` the tenant's schema."""
        return cls(
            commands=Redis.from_url(url, socket_timeout=2.0, socket_connect_timeout=2.0),
            # No silent reconnects here: what was published in between is lost, and somebody must be told.
            listening=Redis.from_url(url, socket_connect_timeout=2.0, retry=Retry(NoBackoff(), 0)),
            prefix=prefix,
            process=process,
            report=report,
        )

    def key(self, name: str) -> str:
        """A name of the tenant's own in Redis."""
        return f"hearth:{self.prefix}:{name}"

    async def close(self) -> None:
        """Closes the connections."""
        await self.commands.aclose()
        await self.listening.aclose()


class Channel:
    """Listens to one channel of Redis and connects again, with growing pauses, for as long as it runs."""

    def __init__(
        self,
        corner: RedisCorner,
        name: str,
        received: Callable[[bytes], None],
        connected: Callable[[], Awaitable[None]],
        away: Callable[[], None],
    ) -> None:
        """`connected` is awaited after each (re)connection, before any later message; `away` is called for
        each attempt that failed and each connection that broke."""
        self._corner = corner
        self.name = corner.key(name)
        self._received = received
        self._connected = connected
        self._away = away
        self._task: asyncio.Task[None] | None = None
        self._contact = asyncio.Event()

    async def start(self) -> None:
        """Begins; returns once connected, or after some seconds without Redis (then it goes on trying)."""
        self._contact.clear()
        self._task = asyncio.create_task(self._run(), name=f"redis {self.name}")
        try:
            async with asyncio.timeout(FIRST_CONTACT):
                await self._contact.wait()
        except TimeoutError as error:
            self._corner.report(f"redis {self.name}", error)

    async def stop(self) -> None:
        """Ends listening."""
        if self._task is not None:
            await end([self._task])
            self._task = None

    async def _run(self) -> None:
        pause = FIRST_PAUSE
        while True:
            self._contact.clear()
            try:
                async with self._corner.listening.pubsub() as pubsub:
                    await self._listen(pubsub)
            except Exception as error:  # noqa: BLE001 - whatever it was: it is told, and we listen again
                if self._contact.is_set():
                    pause = FIRST_PAUSE
                self._corner.report(f"redis {self.name}", error)
            self._away()
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    async def _listen(self, pubsub: PubSub) -> None:
        await pubsub.subscribe(self.name)
        silent = False
        while True:
            message: dict[str, Any] | None = await pubsub.get_message(timeout=SILENCE)
            if message is None:
                if silent:
                    raise ConnectionError("no answer")
                silent = True
                await pubsub.ping()
                continue
            silent = False
            if message["type"] == "subscribe":
                await self._connected()
                self._contact.set()
            elif message["type"] == "message":
                self._received(message["data"])
