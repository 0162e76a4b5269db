"""Who has pushers, and in which rooms they are: in memory, so that a message costs nothing for those who have none."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterable

from services.push.delivery.target import Target, target_of
from storage.database import Database, Tx
from storage.push.following import receivers_in
from storage.push.pushers import StoredPusher, stored_pushers

MAX_ROOMS = 20_000


class Directory:
    """All pushers of a tenant, and who would be told of what happens in a room."""

    def __init__(self) -> None:
        self._of_user: dict[str, tuple[Target, ...]] = {}
        self._rooms: OrderedDict[str, frozenset[str]] = OrderedDict()
        self._changes = 0

    def __contains__(self, user_id: str) -> bool:
        return user_id in self._of_user

    @property
    def is_empty(self) -> bool:
        """Has nobody a pusher?"""
        return not self._of_user

    def targets(self, user_id: str) -> tuple[Target, ...]:
        """The user's pushers."""
        return self._of_user.get(user_id, ())

    def everything(self) -> Iterable[Target]:
        """All pushers."""
        return (target for targets in self._of_user.values() for target in targets)

    async def load(self, tx: Tx) -> None:
        """Reads all of them."""
        self._of_user.clear()
        self._put(await stored_pushers(tx))
        self.forget_rooms()

    async def read_again(self, tx: Tx, user_ids: Collection[str]) -> None:
        """Reads the pushers of these users, who have others now."""
        found = await stored_pushers(tx, user_ids)
        before = self._of_user.keys() & set(user_ids)
        for user_id in user_ids:
            self._of_user.pop(user_id, None)
        self._put(found)
        if before != self._of_user.keys() & set(user_ids):
            self.forget_rooms()

    def _put(self, found: Iterable[StoredPusher]) -> None:
        for stored in found:
            target = target_of(stored)
            self._of_user[target.user_id] = (*self._of_user.get(target.user_id, ()), target)

    async def receivers(self, database: Database, room_id: str) -> frozenset[str]:
        """The users in the room who have pushers."""
        known = self._rooms.get(room_id)
        if known is not None:
            self._rooms.move_to_end(room_id)
            return known
        changes = self._changes
        async with database.read() as tx:
            found = frozenset(await receivers_in(tx, room_id))
        if changes == self._changes:
            self._rooms[room_id] = found
            if len(self._rooms) > MAX_ROOMS:
                self._rooms.popitem(last=False)
        return found

    def forget_rooms(self, room_ids: Iterable[str] | None = None) -> None:
        """Somebody has come or gone: in these rooms, or wherever."""
        self._changes += 1
        if room_ids is None:
            self._rooms.clear()
            return
        for room_id in room_ids:
            self._rooms.pop(room_id, None)
