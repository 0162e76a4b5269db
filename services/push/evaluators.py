"""Whose push rules must be evaluated for an event: an index in memory, so that a message to a warm room asks nothing.

Most users have the default rules, or mute a room, or want but mentions of it: for them the baseline tells all. The
others are *special*. Which users are special is read once, in which room they are when something happens there. From
then on the feed tells whose rules or memberships have changed; what that means is read by the next one who asks.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Collection

from protocol.ids import RoomID, UserID
from services.push.special import NOBODY, Special, grouped
from services.push.user_rules import UserRules
from storage import topics
from storage.database import Database, Tx
from storage.feed import Feed, Subscriber
from storage.push.rules import push_rules_of, rooms_of_special, special_users, special_users_in

MAX_ROOMS = 10_000
MAX_USERS = 20_000


class Evaluators:
    """The index of one tenant in one process."""

    def __init__(self) -> None:
        self._special: set[UserID] | None = None
        self._rooms: OrderedDict[RoomID, set[UserID]] = OrderedDict()
        self._special_in: dict[
            RoomID, Special
        ] = {}  # made from these rooms and their users' rules, when asked for
        self._rules: OrderedDict[UserID, UserRules] = OrderedDict()
        self._rule_changes = self._resets = self._moves = self._rules_changed_at = 0
        # Of these users it is not known (any more) whether they are special, and in which rooms they are.
        self._unsure: set[UserID] = set()
        self._asking: set[UserID] = set()
        self._lock = asyncio.Lock()

    def listen(self, feed: Feed) -> None:
        """To be called before anything is asked."""
        feed.subscribe(Subscriber(self._told, self._reset))

    async def in_room(self, database: Database, room_id: RoomID) -> Special:
        """The users joined to the room whose rules must be evaluated."""
        if not self._is_sure(room_id):
            async with self._lock:
                while not self._is_sure(room_id):
                    await self._look(database, room_id)
        users = self._rooms.get(room_id)
        if not users:
            return NOBODY
        self._rooms.move_to_end(room_id)
        special = self._special_in.get(room_id)
        if special is None:
            before = self._rule_changes, self._moves
            known = [self._rules.get(user_id) for user_id in users]
            rules = [found for found in known if found is not None]
            if len(rules) < len(known):
                async with database.read() as tx:
                    rules = list((await self.rules_of(tx, set(users))).values())
            special = grouped(room_id, rules)
            if before == (self._rule_changes, self._moves):
                self._special_in[room_id] = special
        return special

    async def rules_of(
        self, tx: Tx, user_ids: Collection[UserID], seen: int | None = None
    ) -> dict[UserID, UserRules]:
        """The rules of each of the users, from memory where they are known. `seen`: the position up to which `tx` sees all, where
        it may be a snapshot from before this call.
        """
        found = {user_id: self._rules[user_id] for user_id in user_ids if user_id in self._rules}
        missing = [user_id for user_id in user_ids if user_id not in found]
        if missing:
            changes = self._rule_changes
            stored = await push_rules_of(tx, missing)
            read = {user_id: UserRules(user_id, stored.get(user_id)) for user_id in missing}
            if changes == self._rule_changes and (seen is None or seen >= self._rules_changed_at):
                self._remember(read)
            found |= read
        for user_id in found.keys() & self._rules.keys():
            self._rules.move_to_end(user_id)
        return found

    def known(self, user_id: UserID) -> UserRules | None:
        """The user's rules, if they are in memory."""
        return self._rules.get(user_id)

    def _is_sure(self, room_id: RoomID) -> bool:
        if self._special is None or self._unsure or self._asking:
            return False
        return not self._special or room_id in self._rooms

    async def _look(self, database: Database, room_id: RoomID) -> None:
        resets = self._resets
        async with database.read() as tx:
            if self._special is None:
                special = await special_users(tx)
                if resets == self._resets:
                    self._special = special
            elif self._unsure:
                await self._make_sure(tx)
            else:
                # Who comes or goes while this is read is put among the unsure, and is looked at once more.
                there = await special_users_in(tx, room_id)
                if resets == self._resets:
                    self._rooms[room_id] = there
                    self._special_in.pop(room_id, None)
                    if len(self._rooms) > MAX_ROOMS:
                        oldest, _ = self._rooms.popitem(last=False)
                        self._special_in.pop(oldest, None)

    async def _make_sure(self, tx: Tx) -> None:
        self._asking, self._unsure = self._unsure, set()
        try:
            found = await rooms_of_special(tx, self._asking)
        except BaseException:
            self._unsure |= self._asking
            raise
        else:
            for user_id in self._asking:
                self._place(user_id, found.get(user_id))
        finally:
            self._asking = set()

    def _place(self, user_id: UserID, rooms: set[RoomID] | None) -> None:
        if self._special is None:
            return
        if rooms is None:
            self._special.discard(user_id)
        else:
            self._special.add(user_id)
        self._moves += 1
        for room_id, there in self._rooms.items():
            is_there = rooms is not None and room_id in rooms
            if is_there or user_id in there:
                self._special_in.pop(room_id, None)
            if is_there:
                there.add(user_id)
            else:
                there.discard(user_id)

    def _remember(self, read: dict[UserID, UserRules]) -> None:
        self._rules |= read
        while len(self._rules) > MAX_USERS:
            self._rules.popitem(last=False)

    def _told(self, position: int, told: tuple[str, ...]) -> None:
        for topic in told:
            user_id = UserID(topic[1:])
            if topic[0] == topics.PUSH_RULES:
                self._rule_changes += 1
                self._rules_changed_at = position
                self._rules.pop(user_id, None)
                self._unsure.add(user_id)
            elif topic[0] == topics.USER and (user_id in (self._special or ()) or user_id in self._asking):
                self._unsure.add(user_id)

    def _reset(self, position: int) -> None:
        self._rule_changes += 1
        self._rules_changed_at = position
        self._resets += 1
        self._special = None
        self._rooms.clear()
        self._special_in.clear()
        self._rules.clear()
        self._unsure.clear()
