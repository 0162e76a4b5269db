"""One queue a room: what is to be done in a room is done one after the other, and no room waits for another."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

Job = Callable[[], Coroutine[Any, Any, Coroutine[Any, Any, None] | None]]
"""What is to be done in the room's turn; it may return what is left to be done beside the next job."""


@dataclass(slots=True)
class Staged:
    """How many bytes of events that wait were written down here since this process last looked how much waits in all."""

    unseen: int = 0


class RoomQueues:
    """The queues of one tenant in one process. A job has a name, and while it waits or runs is there only once."""

    def __init__(self) -> None:
        self._waiting: dict[str, deque[tuple[str, Job, asyncio.Future[None]]]] = {}
        self._named: dict[tuple[str, str], asyncio.Future[None]] = {}
        self._workers: set[asyncio.Task[None]] = set()

    def put(self, room_id: str, name: str, job: Job) -> asyncio.Future[None]:
        """The job's outcome; that of the one which is there already under this name."""
        known = self._named.get((room_id, name))
        if known is not None:
            return known
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        done.add_done_callback(
            lambda done: done.cancelled() or done.exception()
        )  # nobody may be waiting any more
        self._named[room_id, name] = done
        queue = self._waiting.get(room_id)
        if queue is not None:
            queue.append((name, job, done))
            return done
        self._waiting[room_id] = deque([(name, job, done)])
        self._start(self._work(room_id))
        return done

    def length(self, room_id: str) -> int:
        """How many jobs wait in the room."""
        return len(self._waiting.get(room_id, ()))

    @property
    def total(self) -> int:
        """How many jobs wait or run in all rooms together."""
        return len(self._named)

    async def stop(self) -> None:
        """Ends what is running; what waited is not done any more."""
        for worker in self._workers:
            worker.cancel()
        if self._workers:
            await asyncio.wait(self._workers)

    async def _work(self, room_id: str) -> None:
        queue = self._waiting[room_id]
        try:
            while queue:
                name, job, done = queue.popleft()
                rest = None
                try:
                    rest = await job()
                except Exception as error:  # noqa: BLE001 - whoever waits for the job is told
                    if not done.done():
                        done.set_exception(error)
                else:
                    if rest is None and not done.done():
                        done.set_result(None)
                finally:
                    if rest is None:
                        self._named.pop((room_id, name), None)
                        done.cancel()  # where the worker was stopped
                if rest is not None:
                    self._start(self._finish(room_id, name, rest, done))
        finally:
            del self._waiting[room_id]
            for name, _, done in queue:
                self._named.pop((room_id, name), None)
                done.cancel()

    async def _finish(
        self, room_id: str, name: str, rest: Coroutine[Any, Any, None], done: asyncio.Future[None]
    ) -> None:
        try:
            await rest
        except Exception as error:  # noqa: BLE001 - whoever waits for the job is told
            if not done.done():
                done.set_exception(error)
        else:
            if not done.done():
                done.set_result(None)
        finally:
            self._named.pop((room_id, name), None)
            done.cancel()

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._workers.add(task)
        task.add_done_callback(self._workers.discard)
