"""Delivers to one pusher: push after push, in order, each until it is taken.

What is to be told waits in a short queue. A gateway that fails, or a user who is active elsewhere and wants to be left in
peace, empties it: then the pusher is `behind`, which the database knows, and what is still unread is looked up when it is tried
again. So an outage of a day leaves no queue in memory, and no flood of what has been read meanwhile.
"""

from __future__ import annotations

import asyncio
from collections import deque

from services.observations import BackgroundFailure
from services.outside import Asked, OutsideFailed
from services.presence import ACTIVE_FOR
from services.push.delivery.compose import badge_push, event_push
from services.push.delivery.delivering import Delivering
from services.push.delivery.happened import Happened
from services.push.delivery.missed import missed
from services.push.delivery.observations import GatewayBack, GatewayFails, PushRefused
from services.push.delivery.target import Target
from services.settings import MINUTE, SECOND
from storage.push.pushers import Mark
from storage.redis.replica import ONLINE

MOST_WAITING = 500  # pushes that wait in memory
MOST_MISSED = 50  # that are told of together, after an outage: nobody reads more on a telephone
FIRST_PAUSE, LONGEST_PAUSE = SECOND, 10 * MINUTE
SILENT_PAUSE = 15 * SECOND
BADGE_PAUSE = SECOND  # who reads one thing reads the next one
_OK, _MULTIPLE, _SERVER_ERROR = 200, 300, 500
_TRY_AGAIN = (408, 429)


class Worker:
    """One pusher's deliverer; it has a task only while there is something to do."""

    def __init__(self, delivery: Delivering, target: Target) -> None:
        self.target = target
        self.behind = target.stored.behind
        self._delivery = delivery
        self._position = target.stored.position
        self._badge = target.stored.badge
        self._is_known_behind = self.behind  # to the database
        self._queue: deque[Happened] = deque()
        self._until: int | None = None  # what is behind this position has been looked up
        self._checks_badge = False
        self._failures = 0
        self._task: asyncio.Task[None] | None = None

    @property
    def first(self) -> int | None:
        """The position of what it has to tell first, unless the database knows that it is behind."""
        if self.behind:
            return None if self._is_known_behind else self._position + 1
        return self._queue[0].position if self._queue else None

    @property
    def task(self) -> asyncio.Task[None] | None:
        """What is at work."""
        return self._task

    def renewed(self, target: Target) -> None:
        """The user has changed the pusher."""
        if target.stored.enabled and not self.target.stored.enabled:
            self._position = max(self._position, target.stored.position)
            self._queue.clear()
            self.behind = False
        self.target = target

    def add(self, happened: Happened) -> None:
        """This is to be told."""
        if happened.position <= self._position or not self.target.stored.enabled:
            return
        if not self.behind or self._until is not None:
            self._queue.append(happened)
        if len(self._queue) > MOST_WAITING:
            self._fall_behind()
        self.wake()

    def check_badge(self) -> None:
        """Less may be unread now."""
        if self._badge and self.target.has_badge and self.target.stored.enabled:
            self._checks_badge = True
            self.wake()

    def wake(self) -> None:
        """There is something to do."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="telling a pusher")

    def stop(self) -> None:
        """The pusher is gone, or another process delivers."""
        if self._task is not None:
            self._task.cancel()

    def _fall_behind(self) -> None:
        self.behind, self._until = True, None
        self._queue.clear()

    async def _run(self) -> None:
        clock = self._delivery.tenant.clock
        try:
            while self._delivery.is_held and (self._queue or self.behind or self._checks_badge):
                if self._is_to_be_silent():
                    await self._wait_behind(SILENT_PAUSE)
                    continue
                if self._checks_badge and not self._queue and not self.behind:
                    await clock.sleep(BADGE_PAUSE)
                try:
                    async with self._delivery.slots:
                        await self._step()
                except OutsideFailed as error:
                    await self._failed(str(error))
                except Exception as error:  # noqa: BLE001 - it goes on, from the database
                    self._delivery.tenant.observe(BackgroundFailure("telling a pusher", error))
                    self._fall_behind()
                    await clock.sleep(FIRST_PAUSE)
        finally:
            self._task = None

    async def _step(self) -> None:
        if self.behind and self._until is None:
            upto = self._delivery.position
            found = await missed(self._delivery, self.target, self._position, upto, MOST_MISSED)
            self._queue, self._until = deque(found), upto
        elif self._queue:
            await self._tell(self._queue[0])
        elif self.behind:
            assert self._until is not None
            self._position, self.behind, self._until = max(self._position, self._until), False, None
            await self._mark()
        else:
            self._checks_badge = False
            await self._tell_badge()

    async def _tell(self, happened: Happened) -> None:
        if happened.position > self._position:
            told = await self._delivery.look(self.target, happened)
            if told is not None:
                await self._send(event_push(self.target, told.facts, told.actions, told.badge))
                self._position = happened.position
                self._badge = told.badge.unread if self.target.has_badge else 0
                await self._mark()
        self._position = max(self._position, happened.position)
        if self._queue and self._queue[0] is happened:
            self._queue.popleft()

    async def _tell_badge(self) -> None:
        badge = await self._delivery.badges.of(self.target.user_id)
        if badge.unread != self._badge and self.target.has_badge:
            await self._send(badge_push(self.target, badge))
            self._badge = badge.unread
            await self._mark()

    async def _mark(self) -> None:
        behind = self.behind
        await self._delivery.marks.put(Mark(*self.target.key, self._position, behind, self._badge))
        self._is_known_behind = behind

    async def _send(self, body: bytes) -> None:
        """Returns when the gateway has it, or does not want it; raises OutsideFailed to be tried again."""
        delivery, url = self._delivery, self.target.url
        delivery.check_held()
        headers = {"Content-Type": "application/json"}
        answer = await delivery.tenant.push_gateways.ask(Asked("POST", url, headers, body))
        if answer.status >= _SERVER_ERROR or answer.status in _TRY_AGAIN:
            raise OutsideFailed(f"it answers {answer.status}")
        if not _OK <= answer.status < _MULTIPLE:
            delivery.tenant.observe(PushRefused(url, answer.status))
        if self._failures:
            self._failures = 0
            delivery.tenant.observe(GatewayBack(url))
        rejected = (answer.json() or {}).get("rejected")
        if isinstance(rejected, list) and self.target.stored.pushkey in rejected:
            await delivery.rejected(self.target)

    async def _failed(self, reason: str) -> None:
        if not self._failures:
            self._delivery.tenant.observe(GatewayFails(self.target.url, reason))
        pause = min(FIRST_PAUSE << min(self._failures, 20), LONGEST_PAUSE)
        self._failures += 1
        # A badge that was not taken is one that is not known: it is told with the next push, or by itself.
        await self._wait_behind(pause)

    async def _wait_behind(self, pause: int) -> None:
        """Waits; meanwhile the database knows that it is behind."""
        if self._queue or self.behind:
            self._fall_behind()
            if not self._is_known_behind:
                await self._mark()
        else:
            self._checks_badge = True
        await self._delivery.tenant.clock.sleep(pause)

    def _is_to_be_silent(self) -> bool:
        """Does the user want to be left in peace at this device, being at another one?"""
        if not self.target.is_silent_while_active or not (self._queue or self.behind):
            return False
        now = self._delivery.tenant.clock.now()
        state = self._delivery.tenant.ephemeral.presence(self.target.user_id)
        if state is None or state.at(now).presence != ONLINE or now >= state.last_active + ACTIVE_FOR:
            return False
        return state.device is not None and state.device != self.target.stored.device_id
