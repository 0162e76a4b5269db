"""What the default rules say of an event for every user at once, so that a message costs the same in every room."""

import math
from dataclasses import dataclass
from typing import Final

from protocol.ids import UserID
from protocol.property_path import parse_path
from protocol.push_rules.classify import RoomMode
from protocol.push_rules.conditions import Context, EventProperties, MatchableEvent
from protocol.push_rules.defaults import INVITE_FOR_ME, IS_USER_MENTION
from protocol.push_rules.match import compile_rules, first_match
from protocol.push_rules.ruleset import DEFAULT_RULESET

_RULES: Final = compile_rules(DEFAULT_RULESET.in_order())
_PLACES: Final = {rule.rule_id: place for place, rule in enumerate(_RULES)}
_MENTIONS: Final = parse_path(r"content.m\.mentions.user_ids")
_MENTION_PLACE: Final = _PLACES[IS_USER_MENTION]
_INVITE_PLACE: Final = _PLACES[INVITE_FOR_ME]
# Of no user: that the room has two members changes but the sound, and the power is that of who may or may not.
_STRANGER: Final = Context(None, None, 3, -math.inf, {})
_STRANGER_WHOM_ROOM_REACHES: Final = Context(None, None, 3, math.inf, {})
_NOBODY: Final[frozenset[UserID]] = frozenset()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an event means for one user: is it counted as unread, is it counted as a highlight?"""

    notify: bool
    highlight: bool


@dataclass(frozen=True, slots=True)
class Baseline:
    """What an event means for everybody but its sender, by the default rules, in a room of two or more.

    `notify` and `highlight_room` hold for all. Beyond them it notifies and highlights for those `mentioned`, and
    notifies the one who is `invited`.
    """

    notify: bool
    highlight_room: bool
    mentioned: frozenset[UserID]
    invited: UserID | None

    def outcome(self, user_id: UserID, mode: RoomMode = RoomMode.DEFAULT) -> Outcome:
        """What it means for a user, not the sender, whose rules are the default ones but for the room's mode."""
        if mode is RoomMode.MUTED:
            return Outcome(False, False)
        highlight = self.highlight_room or user_id in self.mentioned
        told = highlight or user_id == self.invited
        return Outcome(told or (self.notify and mode is RoomMode.DEFAULT), highlight)


def baseline(
    event: MatchableEvent, sender_may_notify_room: bool, properties: EventProperties | None = None
) -> Baseline:
    """What the default rules say; `sender_may_notify_room` is whether the sender's power suffices for @room.

    `properties` may be handed in where the event is to be held against further rules too.
    """
    properties = properties or EventProperties(event)
    stranger = _STRANGER_WHOM_ROOM_REACHES if sender_may_notify_room else _STRANGER
    rule = first_match(_RULES, properties, stranger)
    place = len(_RULES) if rule is None else _PLACES[rule.rule_id]
    return Baseline(
        rule is not None and rule.actions.notify,
        rule is not None and rule.actions.highlight,
        _mentioned(properties) if place > _MENTION_PLACE else _NOBODY,
        _invited(event, properties) if place > _INVITE_PLACE else None,
    )


def _mentioned(properties: EventProperties) -> frozenset[UserID]:
    user_ids = properties.value(_MENTIONS)
    if not isinstance(user_ids, list):
        return _NOBODY
    strings = (user_id for user_id in user_ids if isinstance(user_id, str))
    return frozenset(map(UserID, strings)) - {UserID(properties.sender)}


def _invited(event: MatchableEvent, properties: EventProperties) -> UserID | None:
    # The last condition of the rule is who is meant; the others are what an invite is.
    *is_invite, _ = _RULES[_INVITE_PLACE].tests
    if event.state_key is None or not all(test(properties, _STRANGER) for test in is_invite):
        return None
    return UserID(event.state_key)
