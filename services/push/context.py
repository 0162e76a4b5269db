"""The room around an event, as push rules ask for it."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from protocol.auth.levels import PowerLevels
from protocol.errors import Rejected
from protocol.events import CREATE, MEMBER, POWER_LEVELS, Event, StateKey
from protocol.ids import UserID
from protocol.push_rules.conditions import DEFAULT_NOTIFICATION_LEVEL, Context
from protocol.room_versions import RoomVersion
from services.push.user_rules import UserRules
from services.rooms.relation import THREAD, relation_in
from storage.database import Tx
from storage.thread_subscriptions import subscribers_of

ROOM: Final = "room"
LEVEL_KEYS: Final[tuple[StateKey, ...]] = ((CREATE, ""), (POWER_LEVELS, ""))


@dataclass(frozen=True, slots=True)
class Levels:
    """The sender's power, and what power each kind of notification needs."""

    power: float
    needed: Mapping[str, int]

    @property
    def may_notify_room(self) -> bool:
        """May the sender notify everybody (@room)?"""
        return self.power >= self.needed[ROOM]


NO_POWER: Final = Levels(-math.inf, {ROOM: DEFAULT_NOTIFICATION_LEVEL})


def levels_of(version: RoomVersion, state: Mapping[StateKey, Event], sender: str) -> Levels:
    """The levels that hold for a sender in a room with this state, of which LEVEL_KEYS are looked at."""
    create = state.get((CREATE, ""))
    if create is None:
        return NO_POWER
    found = PowerLevels.of(version, create, state.get((POWER_LEVELS, "")))
    try:
        return Levels(found.of_user(sender), {key: found.notification(key) for key in (ROOM, *_keys(found))})
    except Rejected:  # nonsense for power levels, in old room versions
        return NO_POWER


def context_of(
    rules: UserRules, member: Event | None, joined: int, levels: Levels, subscribed: bool | None, now: int
) -> Context:
    """What a user's rules ask for; `member` is the user's own member event, where the rules ask for the name, `subscribed`
    how the user stands to the event's thread, if it is in one, and `now` the time at which they are asked.
    """
    name = member.content.get("displayname") if member is not None else None
    name = name if isinstance(name, str) else None
    return Context(rules.user_id, name, joined, levels.power, levels.needed, subscribed, now)


async def subscribers(tx: Tx, rules: Collection[UserRules], event: Event) -> frozenset[UserID] | None:
    """Those of the users whose rules ask for it who are subscribed to the event's thread; None: it is in none, or nobody
    asks.
    """
    return await thread_subscribers(tx, [found.user_id for found in rules if found.asks_subscription], event)


async def thread_subscribers(tx: Tx, asking: Collection[UserID], event: Event) -> frozenset[UserID] | None:
    """Those of the users who are subscribed to the event's thread; None: it is in none, or nobody asks."""
    relation = relation_in(event.content)
    if relation is None or relation.rel_type != THREAD or not asking:
        return None
    return frozenset(await subscribers_of(tx, asking, event.room_id, relation.parent))


def member_key(rules: UserRules) -> StateKey:
    """Where the user's own member event stands."""
    return MEMBER, rules.user_id


def _keys(levels: PowerLevels) -> Iterable[str]:
    notifications = levels.content.get("notifications") if levels.content is not None else None
    return notifications if isinstance(notifications, dict) else ()
