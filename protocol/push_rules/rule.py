"""A push rule and its parts as values."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Any, Final, TypeAlias

from protocol.ids import UserID
from protocol.json import JsonObject

Condition: TypeAlias = Mapping[str, Any]
Action: TypeAlias = str | JsonObject


class Kind(StrEnum):
    """The kinds of rules, in the order in which they are asked."""

    OVERRIDE = "override"
    CONTENT = "content"
    POSTCONTENT = "postcontent"  # MSC4306: the server's only
    ROOM = "room"
    SENDER = "sender"
    UNDERRIDE = "underride"


CONDITIONAL: Final = frozenset({Kind.OVERRIDE, Kind.POSTCONTENT, Kind.UNDERRIDE})


class Me(Enum):
    """Stands in default rules where each user's rule has the user's own ID."""

    ME = "the user whose rule it is"


ME: Final = Me.ME


@dataclass(frozen=True, slots=True)
class Actions:
    """What a rule does: `json` as it was written, and what that means."""

    json: tuple[Action, ...]
    notify: bool
    highlight: bool

    @classmethod
    def of(cls, json: tuple[Action, ...]) -> "Actions":
        """«dont_notify» and «coalesce» mean nothing (any more); a highlight needs a notification to be in."""
        notify = "notify" in json
        return cls(json, notify, notify and any(map(_highlights, json)))


def _highlights(action: Action) -> bool:
    # «If a highlight tweak is given with no value, its value is defined to be true.»
    return (
        isinstance(action, dict)
        and action.get("set_tweak") == "highlight"
        and action.get("value", True) is not False
    )


@dataclass(frozen=True, slots=True)
class PushRule:
    """One rule. Only override, postcontent and underride rules have conditions, only content rules a pattern."""

    rule_id: str
    actions: Actions
    conditions: tuple[Condition, ...] = ()
    pattern: str | None = None
    enabled: bool = True
    default: bool = False

    def as_json(self, kind: Kind, user_id: UserID) -> JsonObject:
        """The rule as the API shows it to its user."""
        shown: JsonObject = {
            "rule_id": self.rule_id,
            "default": self.default,
            "enabled": self.enabled,
            "actions": list(self.actions.json),
        }
        if kind in CONDITIONAL:
            shown["conditions"] = [_with_user(condition, user_id) for condition in self.conditions]
        if self.pattern is not None:
            shown["pattern"] = self.pattern
        return shown


def _with_user(condition: Condition, user_id: UserID) -> JsonObject:
    return {name: user_id if value is ME else value for name, value in condition.items()}
