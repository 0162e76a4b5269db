"""Delivers to other servers what concerns them: in order, one transaction at a time for each.

Theory of operation. There is no queue to be lost: what a server is to be told follows from what has happened and from
who was in which room then, and of each server it is written down up to which position of the journal it has everything.
The follower (follow_rooms.py) tells what is new, which is kept in memory for servers that can be reached; whatever is
not in memory (after a start, an outage, a burst) is read by position. A server that is idle has neither task nor
memory; one that cannot be reached has an entry in the timer.

All processes follow the journal, and the first one that has something for a server claims it and delivers; it lets go
when there is nothing more. Others that are refused look again after a while.

What a server refuses again and again, while it takes other things, must not hold those up (parts.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable
from typing import Any

from federation.outbound.backoff import next_pause
from federation.outbound.claiming import claimed_together
from federation.outbound.delivered import Delivered
from federation.outbound.destination import MAX_PDUS, Destination, Doing, Transaction, transaction
from federation.outbound.news import News
from federation.outbound.observations import DestinationBack, DestinationFails, EventsRefused
from federation.outbound.parts import ENOUGH_REFUSALS, deliver_in_parts, is_refusal
from federation.outbound.workers import Workers
from protocol.ids import EventID, ServerName
from services.observations import BackgroundFailure
from services.ports import RemoteFailed
from services.servers import destinations as book
from services.servers.outgoing import (
    MAX_EDUS,
    Item,
    Page,
    Waiting,
    lacks_more_than,
    page_for_server,
    waiting_for_server,
)
from services.servers.timer import Timer
from services.tenant import Tenant

AT_ONCE = 100
FAILING_AT_ONCE = 50  # servers that do not answer must not keep the others waiting
CLAIMED_AT_ONCE = 200  # in one statement
STARTED_AT_ONCE, START_EVERY = 50, 20  # ms: when a process begins
LONG_OUTAGE = 60 * 60_000  # ms, after which only the last event of each room is sent
LARGE_BACKLOG = 500  # events, likewise
KEPT_FOR = 60_000  # ms: a transaction that has failed is kept in memory for pauses as long as that
ELSEWHERE_FOR = 20_000  # ms
NOT_SOONER = 2_000  # ms between two tries, however often the server is heard from
HOUSEKEEPING = 20_000  # ms
OVERDUE = 120_000  # ms
HEARD_EVERY, MAX_HEARD = 60_000, 10_000


class Sender:
    """One process' part in delivering."""

    def __init__(self, tenant: Tenant, position: int) -> None:
        """`position`: what happened before is in the database only."""
        self._tenant = tenant
        self._process = tenant.random.token(16)
        self._destinations: dict[ServerName, Destination] = {}
        self._base = self._seen = position
        self._workers = Workers(AT_ONCE, self._deliver)
        self._workers_of_failing = Workers(FAILING_AT_ONCE, self._deliver)
        self._has_all: set[ServerName] = set()  # at or below the base
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: Timer[ServerName] = Timer("destinations", tenant.clock, self._due)
        self._delivered = Delivered(tenant, self._process)
        self._heard: dict[ServerName, int] = {}
        self._housekeeping: asyncio.Task[None] | None = None

    # -- what the follower tells

    def tell(self, news: News) -> None:
        """Notes what is new, and sets about delivering it."""
        touched: dict[ServerName, Destination] = {}
        for item, servers in news.items:
            for server in servers:
                touched[server] = destination = self._destination(server)
                destination.note(item)
        for key, what, servers in news.losable:
            for server in servers:
                touched[server] = destination = self._destination(server)
                destination.note_losable(key, what)
        for server in news.mail:
            touched[server] = destination = self._destination(server)
            destination.has_mail = True
        self._seen = news.position
        for destination in touched.values():
            if destination.is_listening and destination.is_incomplete:
                destination.restart(self._seen)
            self._wake(destination)
        for server in news.heard:
            self._try_again(server)

    async def start_anew(self, position: int) -> None:
        """Forgets what was noted, for something may have been missed: looks up who lacks what is at or below a position."""
        self._base = self._seen = position
        self._has_all = set()
        for destination in self._destinations.values():
            destination.restart(position)
            self._wake(destination)
        for server, at, pause in await book.pausing(self._tenant):
            destination = self._destination(server)
            if destination.doing is Doing.NOTHING:
                destination.pause = pause
                destination.give_up(Doing.PAUSING, at)
                self._timer.add(at, server)
        behind, self._has_all = await book.maybe_behind(self._tenant, self._process)
        for number, server in enumerate(behind):
            destination = self._destination(server)
            if destination.doing is Doing.NOTHING and number < STARTED_AT_ONCE:
                destination.restart(self._seen)
                self._wake(destination)
            elif destination.doing is Doing.NOTHING:
                due = self._tenant.clock.now() + (number - STARTED_AT_ONCE) * START_EVERY
                destination.give_up(Doing.PAUSING, due)
                self._timer.add(due, server)

    # -- beginning and ending

    async def start(self) -> None:
        """Takes up what an earlier process has left."""
        self._timer.start()
        await self.start_anew(self._seen)
        self._housekeeping = asyncio.create_task(self._keep_house(), name="destinations: housekeeping")

    async def stop(self) -> None:
        """Breaks off what is under way: it will be delivered again, and do no harm twice."""
        await self._timer.stop()
        await self._workers.stop()
        await self._workers_of_failing.stop()
        tasks = [*self._tasks, *([self._housekeeping] if self._housekeeping is not None else [])]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        await self._delivered.written()
        await self._release(d for d in self._destinations.values() if d.is_held)

    def heard_from(self, server: ServerName) -> None:
        """The server has sent us something: it may be reached again."""
        destination = self._destinations.get(server)
        if destination is not None and destination.doing is not Doing.ELSEWHERE:
            self._try_again(server)
            return
        now = self._tenant.clock.now()
        if now >= self._heard.get(server, 0) + HEARD_EVERY:
            if len(self._heard) >= MAX_HEARD:
                self._heard.clear()
            self._heard[server] = now
            self._begin(self._end_pause(server), f"{server} was heard from")

    # -- one destination

    def _destination(self, server: ServerName) -> Destination:
        destination = self._destinations.get(server)
        if destination is None:
            destination = self._destinations[server] = Destination(server, self._base)
        return destination

    def _wake(self, destination: Destination) -> None:
        destination.is_noted = destination.is_used = True
        if destination.doing is Doing.ELSEWHERE and self._tenant.clock.now() >= destination.due:
            destination.doing = Doing.NOTHING
        if destination.doing is Doing.NOTHING:
            destination.doing = Doing.DELIVERING
            (self._workers_of_failing if destination.pause else self._workers).put([destination])

    def _begin(self, work: Any, name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _deliver(self, destination: Destination, workers: Workers) -> None:
        try:
            if destination.is_held or await self._claimed(destination, workers):
                await self._deliver_all(destination)
        except Exception as error:  # noqa: BLE001 - the others go on, and this one later
            self._failed_here([destination], error)

    def _failed_here(self, destinations: Iterable[Destination], error: Exception) -> None:
        for destination in destinations:
            self._tenant.observe(BackgroundFailure(f"delivering to {destination.server}", error))
            pause = next_pause(destination.pause, self._tenant.random)
            self._give_up(destination, Doing.PAUSING, self._tenant.clock.now() + pause)

    async def _claimed(self, destination: Destination, workers: Workers) -> bool:
        """Is it ours to deliver, and now? Others that wait for their turn are claimed in the same statement."""
        others = workers.take_unheld(CLAIMED_AT_ONCE - 1)
        together = {one.server: one for one in (destination, *others)}
        try:
            claims = await claimed_together(self._tenant, self._process, together)
        except Exception as error:
            self._failed_here(others, error)
            raise
        now = self._tenant.clock.now()
        for server, one in together.items():
            if (claim := claims.ours.get(server)) is not None:
                one.hold(claim, self._base if server in self._has_all else -1, self._seen)
            elif (claim := claims.early.get(server)) is not None:
                one.pause, one.failing_since = claim.retry_after, claim.failing_since
                self._give_up(one, Doing.PAUSING, claim.retry_at)
            else:
                self._give_up(one, Doing.ELSEWHERE, now + ELSEWHERE_FOR)
        workers.put(one for one in others if one.is_held)
        return destination.is_held

    async def _deliver_all(self, destination: Destination) -> None:
        while (next_one := destination.resend or await self._next(destination)) is not None:
            destination.resend = next_one
            destination.tried = self._tenant.clock.now()
            try:
                refused = await self._put_to(destination, next_one)
            except RemoteFailed as error:
                await self._failed(destination, error)
                return
            self._is_delivered(destination, next_one)
            self._observe_refused(destination.server, refused)
        destination.doing = Doing.NOTHING

    async def _put_to(self, destination: Destination, what: Transaction) -> dict[EventID, str | None]:
        """What the server says of each event. What it refuses again and again it is told in parts, as far as it takes them."""
        try:
            return await self._tenant.remotes.send_transaction(
                destination.server, what.txn_id, what.pdus, what.edus
            )
        except RemoteFailed as error:
            destination.refusals += is_refusal(error)
            if not is_refusal(error) or destination.refusals < ENOUGH_REFUSALS:
                raise
        return await deliver_in_parts(self._tenant, destination.server, what)

    def _is_delivered(self, destination: Destination, done: Transaction) -> None:
        destination.resend = None
        destination.refusals = 0
        destination.position = max(destination.position, done.position)
        if done.mail is not None:
            destination.mail = done.mail
        destination.is_used = True
        if destination.failing_since is not None:
            self._tenant.observe(DestinationBack(destination.server))
        destination.pause, destination.failing_since = 0, None
        self._delivered.note(destination.server, destination.position, done.mail)

    async def _next(self, destination: Destination) -> Transaction | None:
        """What is to be told next; None, and then without having waited since looking, when there is nothing."""
        while True:
            page, waited = await self._page(destination)
            edus = sum(item.edu is not None for item in page.items)
            pdus = len(page.items) - edus
            mail = Waiting()
            if destination.has_mail and edus < MAX_EDUS:
                destination.has_mail, waited = False, True
                mail = await waiting_for_server(
                    self._tenant, destination.server, destination.mail, MAX_EDUS - edus, MAX_PDUS - pdus
                )
                destination.has_mail |= mail.more
            losable = destination.take_losable(MAX_EDUS - edus - len(mail.edus))
            items = [*(Item(page.position, pdu=pdu) for pdu in mail.pdus), *page.items]
            if items or mail.edus or losable:
                upto = (page.position, mail.last)
                return transaction(items, mail.edus, losable, upto, self._tenant.random.token(16))
            destination.position = max(destination.position, page.position)
            if not waited:
                return None

    async def _page(self, destination: Destination) -> tuple[Page, bool]:
        """The next items, and whether we had to wait for them."""
        after, upto = destination.position, destination.complete_from
        if after >= upto:
            return Page(*destination.take_items(self._seen)), False
        server = destination.server
        if destination.catching_up is None:
            since = destination.failing_since
            long = since is not None and self._tenant.clock.now() >= since + LONG_OUTAGE
            destination.catching_up = long or await lacks_more_than(
                self._tenant, server, after, upto, LARGE_BACKLOG
            )
        catching_up = destination.catching_up
        return await page_for_server(
            self._tenant, server, after, upto, MAX_PDUS, catching_up=catching_up
        ), True

    async def _failed(self, destination: Destination, error: RemoteFailed) -> None:
        asked = error.body.get("retry_after_ms") if error.status == 429 else 0
        pause = next_pause(destination.pause, self._tenant.random, asked if isinstance(asked, int) else 0)
        now = self._tenant.clock.now()
        if destination.failing_since is None:
            destination.failing_since = now
            self._tenant.observe(DestinationFails(destination.server, error.message))
        await self._delivered.failed(destination.server, now, pause)
        destination.pause = pause
        if pause > KEPT_FOR:
            destination.resend = None
        self._give_up(destination, Doing.PAUSING, now + pause)

    def _give_up(self, destination: Destination, doing: Doing, due: int) -> None:
        destination.give_up(doing, due)
        self._timer.add(due, destination.server)

    def _observe_refused(self, server: ServerName, results: dict[Any, str | None]) -> None:
        refused = [reason for reason in results.values() if reason is not None]
        if refused:
            self._tenant.observe(EventsRefused(server, len(refused), refused[0]))

    # -- later

    async def _due(self, server: ServerName) -> None:
        destination = self._destinations.get(server)
        if destination is None or self._tenant.clock.now() < destination.due:
            return
        if destination.doing is Doing.PAUSING:
            destination.doing = Doing.NOTHING
            self._wake(destination)
        elif destination.doing is Doing.ELSEWHERE and destination.is_noted:
            self._wake(destination)

    def _try_again(self, server: ServerName) -> None:
        destination = self._destinations.get(server)
        if destination is None or destination.doing is not Doing.PAUSING:
            return
        destination.is_forced = True
        sooner = max(destination.tried + NOT_SOONER, self._tenant.clock.now())
        if sooner < destination.due:
            destination.due = sooner
            self._timer.add(sooner, server)

    async def _end_pause(self, server: ServerName) -> None:
        try:
            await book.end_pause(self._tenant, server)
        except Exception as error:  # noqa: BLE001 - it will be heard from again
            self._tenant.observe(BackgroundFailure(f"{server} was heard from", error))

    async def _keep_house(self) -> None:
        while True:
            await self._tenant.clock.sleep(HOUSEKEEPING)
            try:
                await self._put_idle_away()
                self._take_over(await book.abandoned(self._tenant, OVERDUE))
            except Exception as error:  # noqa: BLE001 - it goes on
                self._tenant.observe(BackgroundFailure("destinations: housekeeping", error))

    async def _put_idle_away(self) -> None:
        """Of those for whom there was nothing since the last time, nothing is kept."""
        idle: list[Destination] = []
        for destination in list(self._destinations.values()):
            if destination.doing is Doing.NOTHING and not destination.is_used:
                idle.append(destination)
            elif destination.doing is Doing.ELSEWHERE and not destination.is_noted:
                del self._destinations[destination.server]
            destination.is_used = False
        await self._delivered.written()
        idle = [destination for destination in idle if destination.doing is Doing.NOTHING]
        released = self._release(idle)
        for destination in idle:
            destination.doing, destination.is_noted = Doing.DELIVERING, False  # nobody begins meanwhile
        try:
            await released
        finally:
            for destination in idle:
                destination.doing = Doing.NOTHING
                if destination.is_noted:
                    self._wake(destination)
                else:
                    del self._destinations[destination.server]

    def _release(self, destinations: Iterable[Destination]) -> Awaitable[None]:
        """Lets go of them; those for whom nothing is left have everything up to where the follower is."""
        positions = {}
        for destination in destinations:
            has_all = destination.doing is Doing.NOTHING and destination.position >= destination.complete_from
            positions[destination.server] = max(destination.position, self._seen if has_all else -1)
            destination.is_held = False
        return book.release(self._tenant, self._process, positions)

    def _take_over(self, servers: Iterable[ServerName]) -> None:
        for server in servers:
            destination = self._destination(server)
            if destination.doing is Doing.ELSEWHERE:
                destination.doing = Doing.NOTHING
            if destination.doing is Doing.NOTHING and not destination.is_held:
                destination.is_incomplete = True
                self._wake(destination)
