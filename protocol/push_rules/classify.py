"""How far a user's rules are from the default ones: whether the baseline will do, and in which rooms."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import Final

from protocol.ids import RoomID
from protocol.push_rules.defaults import DEFAULTS, MASTER
from protocol.push_rules.rule import Kind, PushRule
from protocol.push_rules.ruleset import Ruleset


class RoomMode(Enum):
    """How a user is told of what happens in a room."""

    DEFAULT = "as the default rules say"
    MENTIONS_ONLY = "only of highlights, and of an invite to it"
    MUTED = "of nothing"
    EVALUATED = "not to be known without evaluating the user's rules"


@dataclass(frozen=True, slots=True)
class Classification:
    """The mode in each room that has one of its own, and everywhere else."""

    everywhere: RoomMode
    rooms: Mapping[RoomID, RoomMode]

    def mode_in(self, room_id: RoomID) -> RoomMode:
        """The user's mode in the room."""
        return self.rooms.get(room_id, self.everywhere)

    @property
    def is_special(self) -> bool:
        """Is there any room in which the user's rules must be evaluated?"""
        return RoomMode.EVALUATED in (self.everywhere, *self.rooms.values())


PLAIN: Final = Classification(RoomMode.DEFAULT, MappingProxyType({}))
SILENT: Final = Classification(RoomMode.MUTED, MappingProxyType({}))
SPECIAL: Final = Classification(RoomMode.EVALUATED, MappingProxyType({}))


def classify(ruleset: Ruleset) -> Classification:
    """The modes under which the baseline gives the same outcomes as the ruleset, for all events and rooms of two
    or more members.

    What clients offer for a room are an override rule that does nothing («mute»), and a room rule that does
    nothing («mentions only»). Of other rules those that bear on a single room call for evaluation in it only.
    """
    if _means(ruleset.rule(Kind.OVERRIDE, MASTER.rule_id)) == (True, False, False):
        return SILENT
    if any(_differs(ruleset, kind, rule) for kind, rules in DEFAULTS.items() for rule in rules):
        return SPECIAL
    modes: dict[RoomID, RoomMode] = {}
    for kind in Kind:
        for rule in ruleset.own.get(kind, ()):
            if rule.enabled:
                room_id = only_room(kind, rule)
                if room_id is None:
                    return SPECIAL
                # An earlier rule of the room has said what later ones cannot change, or calls for evaluation.
                modes.setdefault(room_id, _mode(kind, rule))
    return Classification(RoomMode.DEFAULT, modes) if modes else PLAIN


def _means(rule: PushRule) -> tuple[bool, bool, bool]:
    """What counts of a rule: not its sound."""
    return rule.enabled, rule.enabled and rule.actions.notify, rule.enabled and rule.actions.highlight


def _differs(ruleset: Ruleset, kind: Kind, default: PushRule) -> bool:
    return (kind, default.rule_id) in ruleset.changes and _means(default) != _means(
        ruleset.rule(kind, default.rule_id)
    )


def only_room(kind: Kind, rule: PushRule) -> RoomID | None:
    """The one room that the rule can match in; None when it is not to be seen that there is but one."""
    if kind is Kind.ROOM:
        return RoomID(rule.rule_id)
    for condition in rule.conditions:
        if condition.get("kind") == "event_match" and condition.get("key") == "room_id":
            pattern = condition["pattern"]
            if not any(wildcard in pattern for wildcard in "*?"):
                return RoomID(pattern)
    return None


def _mode(kind: Kind, rule: PushRule) -> RoomMode:
    if rule.actions.notify:
        return RoomMode.EVALUATED
    if kind is Kind.OVERRIDE and len(rule.conditions) == 1:
        return RoomMode.MUTED
    return RoomMode.MENTIONS_ONLY if kind is Kind.ROOM else RoomMode.EVALUATED
