"""Users whose rules mean the same are judged together: one answer, and one row of exceptions, for all of them.

A ruleset is named by a digest of what counts in the rules: not their sounds, nor what can only match in a single room. In such
a room its user is judged apart. Whoever looks for the own display name is always judged apart.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final

import orjson

from protocol.push_rules.classify import Classification, RoomMode, only_room
from protocol.push_rules.rule import Actions, Kind, PushRule
from protocol.push_rules.ruleset import Ruleset

DISPLAY_NAME: Final = "contains_display_name"
MARK: Final = "#"
"""With which the name of a ruleset begins, unlike a user ID."""


def ruleset_key(ruleset: Ruleset, classification: Classification) -> str | None:
    """The name of the user's ruleset; None for who is judged apart, or need not be judged at all."""
    if not classification.is_special or DISPLAY_NAME in conditions_asked(ruleset):
        return None
    everywhere = classification.everywhere is RoomMode.EVALUATED
    own = [
        _what_counts(kind, rule)
        for kind in Kind
        for rule in ruleset.own.get(kind, ())
        if rule.enabled and not (everywhere and only_room(kind, rule) is not None)
    ]
    changes = sorted(
        (kind.value, rule_id, change.enabled, _outcome(change.actions))
        for (kind, rule_id), change in ruleset.changes.items()
    )
    written = orjson.dumps([own, changes], option=orjson.OPT_SORT_KEYS)
    return MARK + hashlib.blake2b(written, digest_size=16).hexdigest()


def conditions_asked(ruleset: Ruleset) -> set[object]:
    """The kinds of conditions that the rules that are on ask for."""
    return {
        condition.get("kind")
        for _, rule in ruleset.in_order()
        if rule.enabled
        for condition in rule.conditions
    }


def rooms_named(ruleset: Ruleset) -> frozenset[str]:
    """The rooms in which the user has rules for a single room, in lower case, as conditions compare them."""
    found = (only_room(kind, rule) for kind, rules in ruleset.own.items() for rule in rules if rule.enabled)
    return frozenset(room_id.lower() for room_id in found if room_id is not None)


def _what_counts(kind: Kind, rule: PushRule) -> list[Any]:
    name = rule.rule_id if kind in (Kind.ROOM, Kind.SENDER) else None
    return [kind.value, name, list(map(dict, rule.conditions)), rule.pattern, _outcome(rule.actions)]


def _outcome(actions: Actions | None) -> list[bool] | None:
    return None if actions is None else [actions.notify, actions.highlight]
