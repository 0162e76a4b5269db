"""What an event means for a user by the user's push rules: the first rule that matches decides."""

from collections.abc import Iterable
from dataclasses import dataclass

from protocol.push_rules.conditions import (
    Context,
    EventProperties,
    Test,
    compile_condition,
    compile_equal,
    compile_words,
)
from protocol.push_rules.rule import Actions, Kind, PushRule

__all__ = ["CompiledRule", "Context", "EventProperties", "compile_rules", "evaluate", "first_match"]


@dataclass(frozen=True, slots=True)
class CompiledRule:
    """An enabled rule, ready to be asked."""

    kind: Kind
    rule_id: str
    actions: Actions
    tests: tuple[Test, ...]


def compile_rules(rules: Iterable[tuple[Kind, PushRule]]) -> tuple[CompiledRule, ...]:
    """The rules that are enabled, in the order given, which must be that of evaluation."""
    return tuple(
        CompiledRule(kind, rule.rule_id, rule.actions, _tests(kind, rule))
        for kind, rule in rules
        if rule.enabled
    )


def first_match(
    rules: Iterable[CompiledRule], event: EventProperties, context: Context
) -> CompiledRule | None:
    """The rule that decides; None when no rule matches."""
    for rule in rules:
        for test in rule.tests:
            if not test(event, context):
                break
        else:
            return rule
    return None


def evaluate(rules: Iterable[CompiledRule], event: EventProperties, context: Context) -> Actions | None:
    """The actions of the rule that decides; None when no rule matches, or the event is the user's own.

    Whether the user may see the event at all, or ignores its sender, is not asked here.
    """
    # «Users will not be notified of their own events.» (§Push Rules)
    if event.sender == context.user_id:
        return None
    rule = first_match(rules, event, context)
    return None if rule is None else rule.actions


def _tests(kind: Kind, rule: PushRule) -> tuple[Test, ...]:
    match kind:
        case Kind.CONTENT:
            return (compile_words(rule.pattern or ""),)
        case Kind.ROOM:
            return (compile_equal(("room_id",), rule.rule_id),)
        case Kind.SENDER:
            return (compile_equal(("sender",), rule.rule_id),)
        case _:
            return tuple(map(compile_condition, rule.conditions))
