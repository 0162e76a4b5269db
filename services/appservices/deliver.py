"""Delivers to one application service: transaction after transaction, in order, each until it has been taken.

A transaction is written down before it is sent: whoever tries again, also after a restart and in another process, sends
the same content under the same ID. It is struck out, and the messages to devices in it leave their inboxes, in one
database transaction, once the application service has answered 200. While it is away, the journal is the queue: nothing
gathers in memory but the names of rooms where something may be lost (typing, receipts, presence).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from urllib.parse import quote

from services.appservices.calls import Question, Unreachable
from services.appservices.compose import compose
from services.appservices.interest import Interest
from services.appservices.observations import AppserviceBack, AppserviceFails
from services.appservices.pending import Pending
from services.appservices.registry import Appservice
from services.observations import BackgroundFailure
from services.tenant import Tenant
from storage import appservices as stored
from storage import topics
from storage.appservices import Flight

FIRST_PAUSE, LONGEST_PAUSE = 1_000, 5 * 60_000  # ms
RENEWED = 6.0  # seconds: a third of how long the book lets a process hold an application service
SECONDS = 60.0  # that a transaction may take
_SERIES_LENGTH = 8


class _Lost(Exception):
    """Another process delivers now."""


@dataclass(slots=True)
class _Held:
    """What is known of the application service as long as it is ours to deliver to."""

    position: int
    series: str
    number: int
    flight: Flight | None


class Deliverer:
    """One process' deliverer for one application service. It works while it holds the application service."""

    def __init__(self, tenant: Tenant, appservice: Appservice, process: str) -> None:
        self._tenant = tenant
        self._appservice = appservice
        self._process = process
        self._interest = Interest(tenant, appservice)
        self._pending = Pending(appservice, self._interest, tenant.feed.position)
        self._held: _Held | None = None
        self._news = asyncio.Event()
        self._hurry = asyncio.Event()
        self._failures = 0
        self._is_idle = False

    # -- what is called by the feed, and by typing and presence

    def told(self, position: int, told: tuple[str, ...]) -> None:
        """A commit."""
        if topics.appservice(self._appservice.id) in told:
            self._hurry.set()
        if self._pending.told(position, told):
            self._news.set()

    def reset(self, position: int) -> None:
        """Commits may have been missed."""
        self._pending.reset(position)
        self._news.set()

    def told_ephemeral(self, told: tuple[str, ...]) -> None:
        """Somebody types, or is there or not."""
        if self._appservice.wants_ephemeral and self._pending.told_ephemeral(told):
            self._news.set()

    # -- holding

    async def hold(self) -> None:
        """Takes the application service, keeps it, and takes it again; goes on until it is cancelled."""
        while True:
            try:
                await self._hold()
            except Exception as error:  # noqa: BLE001 - it goes on
                self._observe("holding", error)
            await asyncio.sleep(RENEWED)

    async def _hold(self) -> None:
        held, name = self._held, self._appservice.id
        async with self._tenant.database.read() as tx:
            if held is not None:
                self._pass_over(held)
                if not await stored.renew(tx, name, self._process, held.position):
                    self._held = None
                return
            series = self._tenant.random.token(_SERIES_LENGTH)
            found = await stored.claim(tx, name, self._process, self._tenant.feed.position, series)
        if found is not None:
            self._pending.news.is_everything = True
            self._held = _Held(found.position, found.series, found.number, found.flight)
            self._news.set()

    def _pass_over(self, held: _Held) -> None:
        """What has been heard of and did not concern it need not be looked at again."""
        if self._is_idle and held.flight is None and not self._pending.news.is_something:
            held.position = max(held.position, self._pending.upto)

    async def release(self) -> None:
        """Lets go of it: another process may deliver."""
        held, self._held = self._held, None
        if held is not None:
            self._pass_over(held)
            async with self._tenant.database.read() as tx:
                await stored.release(tx, self._appservice.id, self._process, held.position)

    # -- delivering

    async def deliver(self) -> None:
        """Goes on until it is cancelled."""
        while True:
            self._is_idle = True
            await self._news.wait()
            self._is_idle = False
            self._news.clear()
            try:
                while self._held is not None and await self._step(self._held):
                    pass
            except _Lost:
                self._held = None
            except Exception as error:  # noqa: BLE001 - it goes on, from the database
                self._observe("delivering", error)
                self._pending.news.is_everything = True
                await self._tenant.clock.sleep(FIRST_PAUSE)
                self._news.set()

    async def _step(self, held: _Held) -> bool:
        """Delivers one transaction, or tries to. Was there any?"""
        if held.flight is None:
            held.flight = await self._next(held)
        if held.flight is None:
            return self._pending.news.is_something
        if (reason := await self._put(held, held.flight)) is not None:
            await self._pause(reason)
            return True
        await self._arrived(held, held.flight)
        return True

    async def _next(self, held: _Held) -> Flight | None:
        """The next transaction, written down; None where nothing of what has happened so far concerns it."""
        upto, news = self._pending.upto, self._pending.take()
        if not news.is_something:
            return None
        after = held.position
        if not news.is_everything:
            after = max(after, upto if news.events_after is None else news.events_after)
        found = await compose(self._tenant, self._appservice, self._interest, news, (after, upto))
        self._pending.put_back(found.rest)
        if found.body is None:
            held.position = found.upto
            return None
        flight = Flight(held.number + 1, found.upto, found.body, found.mail)
        async with self._tenant.database.read() as tx:
            if not await stored.begin_flight(tx, self._appservice.id, self._process, held.position, flight):
                raise _Lost
        held.number = flight.number
        return flight

    async def _put(self, held: _Held, flight: Flight) -> str | None:
        """None when it has arrived, else why not."""
        self._hurry.clear()  # a sign of life from now on ends the pause, should this fail
        path = f"/transactions/{quote(f'{held.series}-{flight.number}', safe='')}"
        question = Question("PUT", path, legacy=path, body=flight.body, seconds=SECONDS)
        try:
            answer = await self._tenant.appservice_calls.ask(self._appservice, question)
        except Unreachable as error:
            return str(error)
        return None if answer.is_ok else f"it answers {answer.status}"

    async def _arrived(self, held: _Held, flight: Flight) -> None:
        async with self._tenant.database.transaction() as tx:
            if not await stored.end_flight(tx, self._appservice.id, self._process, flight):
                raise _Lost
        held.position, held.flight = flight.upto, None
        if self._failures:
            self._failures = 0
            self._tenant.observe(AppserviceBack(self._appservice.id))

    async def _pause(self, reason: str) -> None:
        """Leaves it alone for a while, each time longer, unless it shows by itself that it is there."""
        if not self._failures:
            self._tenant.observe(AppserviceFails(self._appservice.id, reason))
        pause = min(FIRST_PAUSE << min(self._failures, 20), LONGEST_PAUSE)
        self._failures += 1
        waits = [
            asyncio.ensure_future(self._hurry.wait()),
            asyncio.ensure_future(self._tenant.clock.sleep(pause)),
        ]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waits:
                one.cancel()

    def _observe(self, what: str, error: Exception) -> None:
        self._tenant.observe(BackgroundFailure(f"{what}: application service {self._appservice.id}", error))
