"""An event as the pushers' follower sees it, and whom it notifies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import asyncpg

from protocol.ids import RoomID
from protocol.push_rules.classify import RoomMode
from services.push.counts import difference_for
from services.push.rulesets import MARK
from services.push.user_rules import UserRules
from services.rooms.tail import TailEvent


@dataclass(frozen=True, slots=True)
class Happened:
    """What an event is for whom; not what it says. `invites` is whom it invites to a room that is not theirs yet."""

    position: int
    room_id: RoomID
    event_id: str
    type: str
    sender: str
    counts: bool
    highlights_all: bool
    exceptions: Mapping[str, tuple[int, int]]
    invites: str | None = None

    @property
    def is_anything(self) -> bool:
        """Does it notify anybody?"""
        return self.counts or self.highlights_all or bool(self.exceptions)


def of_tail(room_id: RoomID, event: TailEvent) -> Happened:
    """The event of a tail, of which it is known for whom it is unread."""
    return Happened(
        event.position,
        room_id,
        event.event_id,
        event.type,
        event.sender,
        event.counts,
        event.highlights_all,
        event.exceptions or {},
    )


def of_row(room_id: RoomID, row: asyncpg.Record) -> Happened:
    """The event as `events_in` reads it."""
    exceptions = {user: (int(notify), int(highlight)) for user, notify, highlight in row["exceptions"]}
    counts, all_of_them = (False, False) if row["redacted"] else (row["counts"], row["highlights_all"])
    return Happened(
        row["position"], room_id, row["event_id"], row["type"], row["sender"], counts, all_of_them, exceptions
    )


def notifies(happened: Happened, receivers: frozenset[str]) -> Iterable[str]:
    """Those of the receivers whom it may notify, before their own rules are looked at."""
    of_rulesets = any(name.startswith(MARK) for name in happened.exceptions)
    if happened.counts or happened.highlights_all or of_rulesets:
        return (user_id for user_id in receivers if user_id != happened.sender)
    return (user_id for user_id in happened.exceptions if user_id in receivers and user_id != happened.sender)


def is_told(happened: Happened, user_id: str, rules: UserRules) -> bool:
    """Does it notify the user, as it has been counted?"""
    mode = rules.classification.mode_in(happened.room_id)
    if mode is RoomMode.MUTED:
        return False
    notify, highlight = difference_for(user_id, rules.ruleset_key, happened.exceptions)
    if happened.highlights_all + highlight > 0:
        return True
    return mode is not RoomMode.MENTIONS_ONLY and happened.counts + notify > 0
