"""All the push rules of one user: those the user has made, and the default ones as the user has changed them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final

from protocol.ids import UserID
from protocol.json import JsonObject
from protocol.push_rules.defaults import DEFAULTS, MASTER
from protocol.push_rules.errors import NeighbourNotFound, RuleNotFound, TooManyRules
from protocol.push_rules.parse import check_own_id
from protocol.push_rules.rule import Actions, Kind, PushRule

MAX_RULES: Final = 5000

_NO_RULES: Final[Mapping[Kind, tuple[PushRule, ...]]] = MappingProxyType({})
_NO_CHANGES: Final[Mapping[tuple[Kind, str], "Change"]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Change:
    """What a user has changed of a default rule; None is as it was."""

    enabled: bool | None = None
    actions: Actions | None = None

    def applied(self, rule: PushRule) -> PushRule:
        """The rule, so changed."""
        enabled = rule.enabled if self.enabled is None else self.enabled
        return replace(rule, enabled=enabled, actions=self.actions or rule.actions)


@dataclass(frozen=True, slots=True)
class Ruleset:
    """A user's rules; each operation gives a new set. Rules are named by kind and rule ID."""

    own: Mapping[Kind, tuple[PushRule, ...]] = field(default_factory=lambda: _NO_RULES)
    changes: Mapping[tuple[Kind, str], Change] = field(default_factory=lambda: _NO_CHANGES)

    def rules(self, kind: Kind) -> tuple[PushRule, ...]:
        """All rules of a kind in the order in which they are asked."""
        own = self.own.get(kind, ())
        defaults = tuple(self._default(kind, rule) for rule in DEFAULTS[kind])
        # «.m.rule.master»: «this can be overriden by no other rule»
        if defaults and defaults[0].rule_id == MASTER.rule_id:
            return (defaults[0], *own, *defaults[1:])
        return own + defaults

    def in_order(self) -> Iterator[tuple[Kind, PushRule]]:
        """All rules of all kinds in the order in which they are asked."""
        return ((kind, rule) for kind in Kind for rule in self.rules(kind))

    def rule(self, kind: Kind, rule_id: str) -> PushRule:
        """One of the rules; raises RuleNotFound."""
        for rule in self.own.get(kind, ()):
            if rule.rule_id == rule_id:
                return rule
        return self._default(kind, _default_rule(kind, rule_id))

    def with_rule(
        self, kind: Kind, rule: PushRule, before: str | None = None, after: str | None = None
    ) -> "Ruleset":
        """The user's own rule added, or in the place of the one with its ID, which stays on or off as it was.

        Without `before` and `after` a new rule goes on top, and an older one stays where it is. Raises
        InvalidRule, NeighbourNotFound, TooManyRules.
        """
        check_own_id(rule.rule_id)
        own = self.own.get(kind, ())
        others = [other for other in own if other.rule_id != rule.rule_id]
        older = next((place for place, other in enumerate(own) if other.rule_id == rule.rule_id), None)
        if older is not None:
            rule = replace(rule, enabled=own[older].enabled)
        elif sum(map(len, self.own.values())) >= MAX_RULES:
            raise TooManyRules(f"A user has at most {MAX_RULES} push rules")
        # «If both after and before are provided, the new or updated rule must be the next most important rule
        # with respect to the rule identified by before.»
        if before is not None:
            place = _place_of(others, before)
        elif after is not None:
            place = _place_of(others, after) + 1
        else:
            place = older or 0
        return self._with_own(kind, (*others[:place], rule, *others[place:]))

    def without_rule(self, kind: Kind, rule_id: str) -> "Ruleset":
        """One of the user's own rules less; raises RuleNotFound, also for default rules."""
        own = self.own.get(kind, ())
        kept = tuple(rule for rule in own if rule.rule_id != rule_id)
        if len(kept) == len(own):
            raise RuleNotFound("There is no such push rule of yours")
        return self._with_own(kind, kept)

    def with_enabled(self, kind: Kind, rule_id: str, enabled: bool) -> "Ruleset":
        """One rule switched on or off, own or default; raises RuleNotFound."""
        return self._with_changed(kind, replace(self.rule(kind, rule_id), enabled=enabled))

    def with_actions(self, kind: Kind, rule_id: str, actions: Actions) -> "Ruleset":
        """One rule with other actions, own or default; raises RuleNotFound."""
        return self._with_changed(kind, replace(self.rule(kind, rule_id), actions=actions))

    def as_json(self, user_id: UserID) -> JsonObject:
        """The rules as the API shows them: by kind, in the order in which they are asked."""
        return {kind.value: [rule.as_json(kind, user_id) for rule in self.rules(kind)] for kind in Kind}

    def _default(self, kind: Kind, rule: PushRule) -> PushRule:
        change = self.changes.get((kind, rule.rule_id))
        return rule if change is None else change.applied(rule)

    def _with_changed(self, kind: Kind, rule: PushRule) -> "Ruleset":
        if not rule.default:
            own = self.own[kind]
            return self._with_own(
                kind, tuple(rule if other.rule_id == rule.rule_id else other for other in own)
            )
        default, key = _default_rule(kind, rule.rule_id), (kind, rule.rule_id)
        change = Change(
            None if rule.enabled == default.enabled else rule.enabled,
            None if rule.actions == default.actions else rule.actions,
        )
        changes = {other: changed for other, changed in self.changes.items() if other != key}
        if change != Change():
            changes[key] = change
        return replace(self, changes=changes)

    def _with_own(self, kind: Kind, rules: tuple[PushRule, ...]) -> "Ruleset":
        own = {**self.own, kind: rules}
        return replace(self, own={kind: rules for kind, rules in own.items() if rules})


DEFAULT_RULESET: Final = Ruleset()


def _default_rule(kind: Kind, rule_id: str) -> PushRule:
    for rule in DEFAULTS[kind]:
        if rule.rule_id == rule_id:
            return rule
    raise RuleNotFound("There is no such push rule")


def _place_of(rules: list[PushRule], rule_id: str) -> int:
    for place, rule in enumerate(rules):
        if rule.rule_id == rule_id:
            return place
    raise NeighbourNotFound(f"before/after rule not found: {rule_id}")
