"""Whose push rules must be evaluated for an event: an index in memory, so that a message to a warm room asks nothing.

Most users have the default rules, or mute a room, or want but mentions of it: for them the baseline tells all. The
others are *special*. Which users are special is read once, in which room they are when something happens there. From
then on the feed tells whose rules or memberships have changed; what that means is read by the next one who asks.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Collection

import orjson

from protocol.ids import RoomID, UserID
from protocol.push_rules.classify import Classification, RoomMode, classify
from protocol.push_rules.conditions import THREAD_SUBSCRIPTION
from protocol.push_rules.match import CompiledRule, compile_rules
from protocol.push_rules.ruleset import DEFAULT_RULESET, Ruleset
from protocol.push_rules.stored import from_stored
from storage import topics
from storage.database import Database, Tx
from storage.feed import Feed, Subscriber
from storage.push.rules import StoredRules, push_rules_of, rooms_of_special, special_users, special_users_in

MAX_ROOMS = 10_000
MAX_USERS = 20_000


class UserRules:
    """A user's rules: what they are, what that means, and compiled once somebody needs them so."""

    __slots__ = (
        "_compiled",
        "asks_display_name",
        "asks_subscription",
        "classification",
        "likeness",
        "position",
        "ruleset",
        "user_id",
    )

    def __init__(self, user_id: UserID, stored: StoredRules | None) -> None:
        self.user_id = user_id
        self.position = 0 if stored is None else stored.position
        self.ruleset: Ruleset = DEFAULT_RULESET if stored is None else from_stored(orjson.loads(stored.rules))
        self.classification: Classification = classify(self.ruleset)
        asked = {
            condition.get("kind")
            for _, rule in self.ruleset.in_order()
            if rule.enabled
            for condition in rule.conditions
        }
        self.asks_display_name = "contains_display_name" in asked
        self.asks_subscription = THREAD_SUBSCRIPTION in asked
        # Users of whom this is the same are told the same, if they stand alike to the event. None: each is a case of its own.
        stored_rules = b"" if stored is None else stored.rules
        self.likeness: bytes | None = None if self.asks_display_name else stored_rules
        self._compiled: tuple[CompiledRule, ...] | None = None

    @property
    def compiled(self) -> tuple[CompiledRule, ...]:
        """Ready to be evaluated."""
        if self._compiled is None:
            self._compiled = compile_rules(self.ruleset.in_order())
        return self._compiled


class Evaluators:
    """The index of one tenant in one process."""

    def __init__(self) -> None:
        self._special: set[UserID] | None = None
        self._rooms: OrderedDict[RoomID, set[UserID]] = OrderedDict()
        self._rules: OrderedDict[UserID, UserRules] = OrderedDict()
        self._rule_changes = self._resets = 0
        # Of these users it is not known (any more) whether they are special, and in which rooms they are.
        self._unsure: set[UserID] = set()
        self._asking: set[UserID] = set()
        self._lock = asyncio.Lock()

    def listen(self, feed: Feed) -> None:
        """To be called before anything is asked."""
        feed.subscribe(Subscriber(self._told, self._reset))

    async def in_room(self, database: Database, room_id: RoomID) -> list[UserRules]:
        """The rules of the users joined to the room that must be evaluated."""
        if not self._is_sure(room_id):
            async with self._lock:
                while not self._is_sure(room_id):
                    await self._look(database, room_id)
        users = self._rooms.get(room_id)
        if not users:
            return []
        self._rooms.move_to_end(room_id)
        known = [self._rules.get(user_id) for user_id in users]
        rules = [found for found in known if found is not None]
        if len(rules) < len(known):
            async with database.read() as tx:
                rules = list((await self.rules_of(tx, users)).values())
        return [found for found in rules if found.classification.mode_in(room_id) is RoomMode.EVALUATED]

    async def rules_of(self, tx: Tx, user_ids: Collection[UserID]) -> dict[UserID, UserRules]:
        """The rules of each of the users, from memory where they are known."""
        found = {user_id: self._rules[user_id] for user_id in user_ids if user_id in self._rules}
        missing = [user_id for user_id in user_ids if user_id not in found]
        if missing:
            changes = self._rule_changes
            stored = await push_rules_of(tx, missing)
            read = {user_id: UserRules(user_id, stored.get(user_id)) for user_id in missing}
            if changes == self._rule_changes:
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
                    if len(self._rooms) > MAX_ROOMS:
                        self._rooms.popitem(last=False)

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
        for room_id, there in self._rooms.items():
            if rooms is not None and room_id in rooms:
                there.add(user_id)
            else:
                there.discard(user_id)

    def _remember(self, read: dict[UserID, UserRules]) -> None:
        self._rules |= read
        while len(self._rules) > MAX_USERS:
            self._rules.popitem(last=False)

    def _told(self, _position: int, told: tuple[str, ...]) -> None:
        for topic in told:
            user_id = UserID(topic[1:])
            if topic[0] == topics.PUSH_RULES:
                self._rule_changes += 1
                self._rules.pop(user_id, None)
                self._unsure.add(user_id)
            elif topic[0] == topics.USER and (user_id in (self._special or ()) or user_id in self._asking):
                self._unsure.add(user_id)

    def _reset(self, _position: int) -> None:
        self._rule_changes += 1
        self._resets += 1
        self._special = None
        self._rooms.clear()
        self._rules.clear()
        self._unsure.clear()
