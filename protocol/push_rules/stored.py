"""A user's ruleset as JSON for the database: only what differs from the default rules."""

from protocol.json import JsonObject
from protocol.push_rules.defaults import DEFAULTS
from protocol.push_rules.rule import Actions, Kind, PushRule
from protocol.push_rules.ruleset import Change, Ruleset


def to_stored(ruleset: Ruleset) -> JsonObject:
    """The JSON object that `from_stored` reads."""
    changes: JsonObject = {}
    for (kind, rule_id), change in ruleset.changes.items():
        changes.setdefault(kind.value, {})[rule_id] = _stored_change(change)
    return {
        "own": {kind.value: list(map(_stored_rule, rules)) for kind, rules in ruleset.own.items()},
        "changes": changes,
    }


def from_stored(json: JsonObject) -> Ruleset:
    """What `to_stored` wrote; changes of default rules that are no more are dropped."""
    return Ruleset(
        {Kind(kind): tuple(map(_rule, rules)) for kind, rules in json["own"].items()},
        {
            (Kind(kind), rule_id): _change(change)
            for kind, changes in json["changes"].items()
            for rule_id, change in changes.items()
            if any(rule.rule_id == rule_id for rule in DEFAULTS[Kind(kind)])
        },
    )


def _stored_rule(rule: PushRule) -> JsonObject:
    stored: JsonObject = {"rule_id": rule.rule_id, "actions": list(rule.actions.json)}
    if rule.conditions:
        stored["conditions"] = list(rule.conditions)
    if rule.pattern is not None:
        stored["pattern"] = rule.pattern
    if not rule.enabled:
        stored["enabled"] = False
    return stored


def _rule(json: JsonObject) -> PushRule:
    return PushRule(
        json["rule_id"],
        Actions.of(tuple(json["actions"])),
        tuple(json.get("conditions", ())),
        json.get("pattern"),
        json.get("enabled", True),
    )


def _stored_change(change: Change) -> JsonObject:
    stored: JsonObject = {}
    if change.enabled is not None:
        stored["enabled"] = change.enabled
    if change.actions is not None:
        stored["actions"] = list(change.actions.json)
    return stored


def _change(json: JsonObject) -> Change:
    actions = json.get("actions")
    return Change(json.get("enabled"), None if actions is None else Actions.of(tuple(actions)))
