"""A user's push rules, and what they mean."""

from __future__ import annotations

import orjson

from protocol.ids import UserID
from protocol.push_rules.classify import Classification, classify
from protocol.push_rules.conditions import THREAD_SUBSCRIPTION
from protocol.push_rules.match import CompiledRule, compile_rules
from protocol.push_rules.ruleset import DEFAULT_RULESET, Ruleset
from protocol.push_rules.stored import from_stored
from services.push.rulesets import DISPLAY_NAME, conditions_asked, rooms_named
from storage.push.rules import StoredRules


class UserRules:
    """A user's rules: what they are, what that means, and compiled once somebody needs them so.

    `ruleset_key` names the ruleset by which events are judged for all who have the like, but not in `own_rooms`; None: the
    user is judged apart, or not at all.
    """

    __slots__ = (
        "_compiled",
        "asks_display_name",
        "asks_subscription",
        "classification",
        "own_rooms",
        "position",
        "ruleset",
        "ruleset_key",
        "user_id",
    )

    def __init__(self, user_id: UserID, stored: StoredRules | None) -> None:
        self.user_id = user_id
        self.position = 0 if stored is None else stored.position
        self.ruleset: Ruleset = DEFAULT_RULESET if stored is None else from_stored(orjson.loads(stored.rules))
        self.classification: Classification = classify(self.ruleset)
        asked = conditions_asked(self.ruleset)
        self.asks_display_name = DISPLAY_NAME in asked
        self.asks_subscription = THREAD_SUBSCRIPTION in asked
        # As it was written down with the rules: what another version would make of them does not matter.
        self.ruleset_key: str | None = None if stored is None else stored.ruleset
        self.own_rooms: frozenset[str] = rooms_named(self.ruleset) if self.ruleset_key else frozenset()
        self._compiled: tuple[CompiledRule, ...] | None = None

    @property
    def compiled(self) -> tuple[CompiledRule, ...]:
        """Ready to be evaluated."""
        if self._compiled is None:
            self._compiled = compile_rules(self.ruleset.in_order())
        return self._compiled
