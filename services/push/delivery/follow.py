"""The pushers' follower: sees what happens, finds whose pushers are to be told, and gives each of these its work.

One process of a tenant holds the follower (storage/push/following.py) and delivers for all pushers. In the database stand
how far the follower is, and how far each pusher is; what waits between the two is in memory, and is found again by looking
at the events after the follower's position, of which a pusher skips those that it has been told of. The follower's position
is written now and then, and never passes what a pusher has still to tell, unless the database knows that one to be `behind`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from protocol.events import REDACTION
from protocol.ids import RoomID, UserID
from services.observations import BackgroundFailure
from services.once import Once
from services.outside import OutsideFailed
from services.push.delivery.badges import CALL_INVITE, Badges
from services.push.delivery.delivering import Told
from services.push.delivery.digest import Digests
from services.push.delivery.directory import Directory
from services.push.delivery.facts import Facts, actions_for, facts_of, facts_of_invite
from services.push.delivery.happened import Happened, is_told, notifies, of_row, of_tail
from services.push.delivery.marks import Marks
from services.push.delivery.missed import invited
from services.push.delivery.news import Gathering, News
from services.push.delivery.observations import PusherRejected
from services.push.delivery.target import Key, Target
from services.push.delivery.worker import Worker
from services.push.user_rules import UserRules
from services.rooms.tail import LENGTH
from services.settings import SECOND
from services.tenant import Tenant
from storage.push.following import begin, claim, events_in, invites_of, release, renew, rooms_since
from storage.push.pushers import delete_rejected

RENEWED = 6.0  # seconds
SURE = 14.0  # seconds after the last renewal in which no other process can have taken over
AT_ONCE = 64  # pushes that are on their way
FACTS_KEPT = 10 * SECOND
RETRY = 1_000  # ms


class Delivery:
    """One process' part in delivering; it does nothing while another process does it."""

    def __init__(self, tenant: Tenant, process: str) -> None:
        self.tenant = tenant
        self.badges = Badges(tenant)
        self.directory = Directory()
        self.marks = Marks(tenant.database)
        self.slots = asyncio.Semaphore(AT_ONCE)
        self.digests = Digests(self)
        self.position = 0
        """Everything up to here has been given to the workers."""
        self.is_held = False
        self._process = process
        self._gathering = Gathering(self.directory, self.badges, tenant.feed.position)
        self._workers: dict[Key, Worker] = {}
        self._facts: Once[str, Facts | None] = Once()
        self._renewed = 0.0
        self._news = asyncio.Event()
        self._lock = asyncio.Lock()

    # -- what the feed calls

    def told(self, position: int, told: tuple[str, ...]) -> None:
        """A commit."""
        if not self.is_held:
            self._gathering.upto = position
        elif self._gathering.told(position, told):
            self._news.set()

    def reset(self, position: int) -> None:
        """Commits may have been missed."""
        self._gathering.reset(position)
        self._news.set()

    # -- holding

    async def hold(self) -> None:
        """Takes the follower, keeps it, and takes it again; goes on until it is cancelled."""
        is_begun = False
        while True:
            try:
                if not is_begun:
                    async with self.tenant.database.read() as tx:
                        await begin(tx)
                    is_begun = True
                async with self._lock:
                    await self._hold()
            except Exception as error:  # noqa: BLE001 - it goes on
                self.tenant.observe(BackgroundFailure("holding the pushers", error))
            await asyncio.sleep(RENEWED)

    async def _hold(self) -> None:
        if self.is_held:
            # Without pushers there is nothing to deliver: whoever claims it meanwhile does no harm, and an idle server writes
            # nothing.
            if self.directory.is_empty and not self._gathering.news.is_something:
                return
            if await self._renew(self._passed()):
                return
        asked = asyncio.get_running_loop().time()
        async with self.tenant.database.read() as tx:
            position = await claim(tx, self._process)
        if position is None:
            return
        self._renewed, self.position = asked, position
        self._gathering.reset(self.tenant.feed.position)
        self.is_held = True
        self._news.set()

    async def _renew(self, position: int) -> bool:
        """It is still ours."""
        asked = asyncio.get_running_loop().time()
        async with self.tenant.database.read() as tx:
            if await renew(tx, self._process, position):
                self._renewed = asked
                return True
        self._lose()
        return False

    def _passed(self) -> int:
        """Nothing up to here is only in memory."""
        firsts = [first - 1 for worker in self._workers.values() if (first := worker.first) is not None]
        is_idle = not firsts and not self._gathering.news.is_something
        return min([self._gathering.upto if is_idle else self.position, *firsts])

    def _lose(self) -> None:
        self.is_held = False
        for worker in self._workers.values():
            worker.stop()
        self._workers.clear()

    async def release(self) -> None:
        """Lets go of it: another process may deliver. What is on its way arrives or not, and is told again then."""
        if not self.is_held:
            return
        passed = self._passed()
        tasks = [worker.task for worker in self._workers.values() if worker.task is not None]
        self._lose()
        if tasks:
            await asyncio.wait(tasks)
        async with self.tenant.database.read() as tx:
            await release(tx, self._process, passed)

    def check_held(self) -> None:
        """Raises OutsideFailed when another process may have taken over."""
        if not self.is_held or asyncio.get_running_loop().time() > self._renewed + SURE:
            raise OutsideFailed("another process may be telling it")

    # -- following

    async def follow(self) -> None:
        """Goes on until it is cancelled."""
        while True:
            await self._news.wait()
            self._news.clear()
            if not self.is_held:
                continue
            upto, news = self._gathering.upto, self._gathering.take()
            try:
                async with self._lock:
                    await self._step(upto, news)
            except Exception as error:  # noqa: BLE001 - it goes on, from the database
                self.tenant.observe(BackgroundFailure("following for the pushers", error))
                self._gathering.news.is_everything = True
                await asyncio.sleep(RETRY / 1000)
                self._news.set()

    async def _step(self, upto: int, news: News) -> None:
        if not self.is_held:
            return
        if news.is_everything:
            await self._look_at_everything(upto, news)
        if news.pushers:
            were_none = self.directory.is_empty
            await self._read_pushers(news.pushers)
            if were_none and not await self._renew(self.position):
                return
        happened = await self._happened(news, upto)
        rules = await self._rules_for(happened)
        self.position = max(self.position, upto)
        for one, users in happened:
            for user_id in users:
                if one.invites is not None or is_told(one, user_id, rules[user_id]):
                    self._notify(one, user_id)
        await self.digests.schedule()
        for user_id in news.readers | news.users.keys():
            self._check_badges(user_id)
        self._gathering.settle()

    async def _look_at_everything(self, upto: int, news: News) -> None:
        async with self.tenant.database.read() as tx:
            await self.directory.load(tx)
            if not self.directory.is_empty:
                news.rooms = await rooms_since(tx, self.position, upto)
        targets = {target.key: target for target in self.directory.everything()}
        self._renew_workers(targets, self._workers.keys())
        self.digests.load(targets.values())
        news.users = {target.user_id: self.position for target in targets.values()}
        for target in targets.values():
            if target.is_http and (target.stored.behind or target.stored.badge):
                worker = self._worker(target)
                worker.check_badge()
                worker.wake()

    async def _read_pushers(self, user_ids: set[str]) -> None:
        async with self.tenant.database.read() as tx:
            await self.directory.read_again(tx, user_ids)
        targets = {target.key: target for user_id in user_ids for target in self.directory.targets(user_id)}
        self._renew_workers(targets, [key for key in self._workers if key[0] in user_ids])
        self.digests.load(targets.values())

    def _renew_workers(self, targets: dict[Key, Target], keys: Iterable[Key]) -> None:
        for key in list(keys):
            if key in targets and targets[key].is_http:
                self._workers[key].renewed(targets[key])
            else:
                self._workers.pop(key).stop()

    async def _happened(self, news: News, upto: int) -> list[tuple[Happened, list[str]]]:
        """What may notify users with pushers, and whom, in order."""
        found: list[tuple[Happened, list[str]]] = []
        if self.directory.is_empty:
            return found
        for room_id, after in news.rooms.items():
            receivers = await self.directory.receivers(self.tenant.database, room_id)
            if receivers:
                for one in await self._events(RoomID(room_id), after, upto):
                    self._note(one, receivers)
                    if one.is_anything and (users := list(notifies(one, receivers))):
                        found.append((one, users))
        users = [user_id for user_id in news.users if user_id in self.directory]
        if users:
            async with self.tenant.database.read() as tx:
                rows = await invites_of(tx, users, min(news.users.values()), upto)
            found += [(invited(row), [row["user_id"]]) for row in rows]
        return sorted(found, key=lambda one: one[0].position)

    async def _events(self, room_id: RoomID, after: int, upto: int) -> list[Happened]:
        page = self.tenant.tails.peek(room_id, after, upto, LENGTH)
        if (
            page is not None
            and not page.limited
            and all(event.exceptions is not None for event in page.events)
        ):
            return [of_tail(room_id, event) for event in page.events if event.live]
        async with self.tenant.database.read() as tx:
            return [of_row(room_id, row) for row in await events_in(tx, room_id, after, upto)]

    def _note(self, one: Happened, receivers: frozenset[str]) -> None:
        """An event may also leave somebody less to read."""
        if one.type == REDACTION:
            for user_id in receivers:
                self.badges.read_in(user_id, (one.room_id,))
                self._check_badges(user_id)
        elif one.sender in receivers:
            self.badges.read_in(one.sender, (one.room_id,))
            self._check_badges(one.sender)

    async def _rules_for(self, happened: list[tuple[Happened, list[str]]]) -> dict[str, UserRules]:
        users = {UserID(user_id) for _, users in happened for user_id in users}
        known = {user_id: rules for user_id in users if (rules := self.tenant.evaluators.known(user_id))}
        if len(known) < len(users):
            async with self.tenant.database.read() as tx:
                known = await self.tenant.evaluators.rules_of(tx, users)
        return {str(user_id): rules for user_id, rules in known.items()}

    def _notify(self, one: Happened, user_id: str) -> None:
        if one.invites is None:
            self.badges.read_in(user_id, (one.room_id,))
            if one.type == CALL_INVITE:
                self.badges.called_in(user_id, one.room_id)
        for target in self.directory.targets(user_id):
            if target.is_http:
                self._worker(target).add(one)
            elif target.is_mail:
                self.digests.add(target)

    def _check_badges(self, user_id: str) -> None:
        for target in self.directory.targets(user_id):
            if target.is_http:
                self._worker(target).check_badge()

    def _worker(self, target: Target) -> Worker:
        worker = self._workers.get(target.key)
        if worker is None:
            worker = self._workers[target.key] = Worker(self, target)
        return worker

    # -- what workers ask

    async def look(self, target: Target, one: Happened) -> Told | None:
        """What is to be told of an event; None where it is nothing (any more) to this user."""
        user_id = target.user_id
        likings = await self.badges.likings(user_id)
        if one.sender in likings.ignored or (one.invites and likings.hides_invite_of(one.sender)):
            return None
        badge = await self.badges.of(user_id)
        if one.invites is None and one.room_id not in badge.rooms:
            return None  # it has been read already
        facts = await self._facts_of(one)
        if facts is None:
            return None
        rules = self.tenant.evaluators.known(user_id)
        if rules is None:
            async with self.tenant.database.read() as tx:
                rules = (await self.tenant.evaluators.rules_of(tx, (user_id,)))[user_id]
        actions = await actions_for(self.tenant, rules, facts)
        # What notified when it came may do so no more: the user's quiet hours have begun, or the rules are others.
        return Told(facts, actions, badge) if actions is not None and actions.notify else None

    async def _facts_of(self, one: Happened) -> Facts | None:
        if one.invites is not None:
            return await facts_of_invite(self.tenant, one, one.invites)
        now = self.tenant.clock.now()
        return await self._facts.ask(
            one.event_id, lambda: facts_of(self.tenant, one), now, lambda _: FACTS_KEPT
        )

    async def rejected(self, target: Target) -> None:
        """The gateway says that there is no such device: its pushers are gone."""
        _, app_id, pushkey = target.key
        async with self.tenant.database.read() as tx:
            users = await delete_rejected(tx, app_id, pushkey)
        self.tenant.observe(PusherRejected(target.url, app_id))
        self._gathering.news.pushers.update(users)
        self._news.set()
