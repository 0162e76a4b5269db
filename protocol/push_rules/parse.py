"""Push rules as clients send them: checked, and made into values."""

from typing import Any, Final

from protocol.json import JsonObject
from protocol.push_rules.conditions import is_understood
from protocol.push_rules.errors import InvalidRule, UnknownKind
from protocol.push_rules.rule import CONDITIONAL, Action, Actions, Condition, Kind, PushRule

MAX_CONDITIONS: Final = 50
MAX_PATTERN: Final = 1024
MAX_RULE_ID: Final = 255
# «dont_notify» and «coalesce» do nothing since v1.7, but older clients still send them.
_NAMED_ACTIONS: Final = ("notify", "dont_notify", "coalesce")


def parse_kind(text: str) -> Kind:
    """The kind of rule with this name; raises UnknownKind."""
    try:
        return Kind(text)
    except ValueError:
        raise UnknownKind(f"There is no kind of push rule named {text!r}") from None


def parse_rule(kind: Kind, rule_id: str, body: JsonObject) -> PushRule:
    """The rule that a client asks to be kept; raises InvalidRule. What its kind has no use for is dropped."""
    check_own_id(rule_id)
    if kind is Kind.POSTCONTENT:
        raise InvalidRule("There are no postcontent rules but the server's")
    actions = parse_actions(body.get("actions"))
    if kind in CONDITIONAL:
        return PushRule(rule_id, actions, _conditions(body.get("conditions")))
    if kind is Kind.CONTENT:
        return PushRule(rule_id, actions, pattern=_pattern(body.get("pattern")))
    return PushRule(rule_id, actions)


def check_own_id(rule_id: str) -> None:
    """Raise InvalidRule unless a user's own rule may have this ID."""
    # «If the string starts with a dot ("."), the request MUST be rejected as this is reserved for server-default
    # rules. Slashes ("/") and backslashes ("\\") are also not allowed.»
    if rule_id.startswith("."):
        raise InvalidRule("A rule_id that begins with a dot is one of the server's")
    if not rule_id or "/" in rule_id or "\\" in rule_id or "\0" in rule_id:
        raise InvalidRule("A rule_id is not empty and has no slash, no backslash and no NUL")
    if len(rule_id) > MAX_RULE_ID:
        raise InvalidRule(f"A rule_id has at most {MAX_RULE_ID} characters")


def parse_actions(value: Any) -> Actions:
    """The actions; raises InvalidRule."""
    if not isinstance(value, list):
        raise InvalidRule("actions must be a list")
    for action in value:
        _check_action(action)
    return Actions.of(tuple(value))


def _check_action(action: Action) -> None:
    if isinstance(action, dict):
        if not isinstance(action.get("set_tweak"), str):
            raise InvalidRule("An action that is an object must have a set_tweak")
    elif action not in _NAMED_ACTIONS:
        raise InvalidRule(f"There is no action {action!r}")


def _conditions(value: Any) -> tuple[Condition, ...]:
    conditions = [] if value is None else value
    if not isinstance(conditions, list) or not all(isinstance(condition, dict) for condition in conditions):
        raise InvalidRule("conditions must be a list of objects")
    if len(conditions) > MAX_CONDITIONS:
        raise InvalidRule(f"A rule has at most {MAX_CONDITIONS} conditions")
    for condition in conditions:
        if not is_understood(condition):
            raise InvalidRule(f"A condition is malformed: {str(condition)[:100]}")
        if len(str(condition.get("pattern", ""))) > MAX_PATTERN:
            raise InvalidRule(f"A pattern has at most {MAX_PATTERN} characters")
    return tuple(conditions)


def _pattern(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise InvalidRule("A content rule must have a pattern")
    if len(value) > MAX_PATTERN:
        raise InvalidRule(f"A pattern has at most {MAX_PATTERN} characters")
    return value
