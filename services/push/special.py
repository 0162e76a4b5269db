"""The users of a room whose rules must be evaluated for each of its events: in groups of the same rules, and apart."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from protocol.ids import RoomID, UserID
from protocol.push_rules.classify import RoomMode
from services.push.user_rules import UserRules


@dataclass(frozen=True, slots=True)
class Group:
    """Users joined to a room who have one ruleset; `rules` are those of one of them."""

    ruleset: str
    rules: UserRules
    members: frozenset[UserID]


@dataclass(frozen=True, slots=True)
class Special:
    """The users joined to a room whose rules must be evaluated for each event: in groups, and those who are judged apart."""

    groups: tuple[Group, ...] = ()
    apart: tuple[UserRules, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.groups or self.apart)


NOBODY: Final = Special()


def grouped(room_id: RoomID, rules: Iterable[UserRules]) -> Special:
    """Those of the users whom the room's events are evaluated for."""
    groups: dict[str, list[UserRules]] = {}
    apart: list[UserRules] = []
    for one in rules:
        if one.classification.mode_in(room_id) is not RoomMode.EVALUATED:
            continue
        if one.ruleset_key is None or room_id.lower() in one.own_rooms:
            apart.append(one)
        else:
            groups.setdefault(one.ruleset_key, []).append(one)
    return Special(
        tuple(Group(key, alike[0], frozenset(one.user_id for one in alike)) for key, alike in groups.items()),
        tuple(apart),
    )
