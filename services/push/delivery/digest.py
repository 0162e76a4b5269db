"""Mails about missed messages: when something has been unread for a while, one mail tells of all that is.

Of a room that a mail has told of none tells for some time, which grows with each (PAUSES): who lets mails come in is not sent
one for every word. It begins anew when no mail had to tell of the room for a day.
"""

from __future__ import annotations

from collections.abc import Iterable

from services.bell import Bell
from services.mail.outbox import enqueue_mail, may_send
from services.observations import BackgroundFailure
from services.push.delivery.delivering import Delivering
from services.push.delivery.digest_letter import MissedRoom, digest_letter, rooms_of
from services.push.delivery.happened import Happened
from services.push.delivery.missed import missed
from services.push.delivery.target import Key, Target
from services.settings import DAY, HOUR, MINUTE, MailKind
from storage.push.mails import MailedRoom, forget_mailed, is_address_of, mailed_rooms, set_mailed
from storage.push.pushers import set_due

PAUSES = (10 * MINUTE, HOUR, 6 * HOUR, DAY)
FORGOTTEN_AFTER = DAY
MOST = 50  # messages that one mail looks at
LOOK_AGAIN = HOUR
RETRY = MINUTE


class Digests:
    """Which pushers are to be mailed to, and when."""

    def __init__(self, delivery: Delivering) -> None:
        self._delivery = delivery
        self._due: dict[Key, tuple[int, Target]] = {}
        self._new: dict[Key, Target] = {}
        self._bell = Bell()

    def load(self, targets: Iterable[Target]) -> None:
        """What the database says of these pushers."""
        for target in targets:
            if target.is_mail and target.stored.due is not None:
                self._due[target.key] = (target.stored.due, target)
                self._bell.ring()

    def add(self, target: Target) -> None:
        """There is something for this pusher."""
        if target.stored.enabled and target.key not in self._due:
            self._new[target.key] = target

    async def schedule(self) -> None:
        """Writes down when those that were added are to be mailed to."""
        tenant = self._delivery.tenant
        while self._new:
            key, target = self._new.popitem()
            due = tenant.clock.now() + tenant.settings.push.mail_delay
            async with tenant.database.read() as tx:
                await set_due(tx, *key, due)
            self._due[key] = (due, target)
            self._bell.ring()

    async def write(self) -> None:
        """Writes the mails that are due; goes on until it is cancelled."""
        clock = self._delivery.tenant.clock
        while True:
            try:
                await self._write_those_due()
                until = min((due for due, _ in self._due.values()), default=clock.now() + LOOK_AGAIN)
            except Exception as error:  # noqa: BLE001 - it goes on
                self._delivery.tenant.observe(BackgroundFailure("mails about missed messages", error))
                until = clock.now() + RETRY
            if not self._delivery.is_held:
                until = clock.now() + LOOK_AGAIN
            await self._bell.wait(clock, until)

    async def _write_those_due(self) -> None:
        now = self._delivery.tenant.clock.now()
        for key, (due, target) in list(self._due.items()):
            if due <= now and self._delivery.is_held:
                self._delivery.check_held()
                is_there = any(one.key == key for one in self._delivery.directory.targets(target.user_id))
                following = await self._digest(target) if is_there else None
                del self._due[key]
                if following is not None:
                    self._due[key] = (following, target)

    async def _digest(self, target: Target) -> int | None:
        """Writes what there is to write; when the next one is due, None: when something happens again."""
        delivery, tenant, address = self._delivery, self._delivery.tenant, target.stored.pushkey
        now = tenant.clock.now()
        unread = await missed(delivery, target, target.stored.position, delivery.position, MOST)
        async with tenant.database.read() as tx:
            is_theirs = await is_address_of(tx, target.user_id, address)
            mailed = await mailed_rooms(tx, target.user_id, address)
        ready, following = _sort(unread, mailed, now)
        rooms: list[MissedRoom] = []
        if ready and is_theirs and may_send(tenant, MailKind.NOTIFICATIONS):
            rooms = await rooms_of(delivery, target, ready)
        async with tenant.database.transaction() as tx:
            await set_due(tx, *target.key, following)
            if rooms:
                told = [_told(room.last, mailed.get(room.room_id), now) for room in rooms]
                await set_mailed(tx, target.user_id, address, told)
                await forget_mailed(tx, now - 2 * FORGOTTEN_AFTER)
                await enqueue_mail(tenant, digest_letter(tenant, target, rooms), tx=tx)
        if rooms:
            tenant.outbox.ring()
        return following


def _sort(
    unread: list[Happened], mailed: dict[str, MailedRoom], now: int
) -> tuple[list[Happened], int | None]:
    """What a mail may tell of now, and when it may tell of the rest."""
    ready: list[Happened] = []
    following: int | None = None
    for happened in unread:
        before = mailed.get(happened.room_id)
        if before is not None and happened.position <= before.position:
            continue
        if before is None or before.sent + before.pause <= now:
            ready.append(happened)
        else:
            free = before.sent + before.pause
            following = free if following is None else min(following, free)
    return ready, following


def _told(last: Happened, before: MailedRoom | None, now: int) -> MailedRoom:
    if before is None or before.sent + before.pause + FORGOTTEN_AFTER < now:
        return MailedRoom(last.room_id, last.position, now, PAUSES[0])
    longer = next((pause for pause in PAUSES if pause > before.pause), PAUSES[-1])
    return MailedRoom(last.room_id, last.position, now, longer)
