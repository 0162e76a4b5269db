"""A user's ruleset: what the API may do with it, what it refuses, what it shows."""

import json
from contextlib import suppress

import pytest
from hypothesis import given

from protocol.errors import ProtocolError
from protocol.ids import UserID
from protocol.matrix_error import MatrixError
from protocol.push_rules.errors import InvalidRule, NeighbourNotFound, RuleNotFound, TooManyRules, UnknownKind
from protocol.push_rules.match import compile_rules
from protocol.push_rules.parse import parse_kind, parse_rule
from protocol.push_rules.rule import Actions, Kind, PushRule
from protocol.push_rules.ruleset import DEFAULT_RULESET, MAX_RULES, Ruleset
from protocol.push_rules.stored import from_stored, to_stored
from tests.protocol.push_events import ALICE, json_values
from tests.protocol.test_push_rules_baseline import rulesets

NOTIFY = Actions.of(("notify",))
QUIET = Actions.of(())


def rule(rule_id: str) -> PushRule:
    return PushRule(rule_id, NOTIFY)


def own_ids(ruleset: Ruleset, kind: Kind = Kind.ROOM) -> list[str]:
    return [rule.rule_id for rule in ruleset.rules(kind) if not rule.default]


def with_rooms(*rule_ids: str) -> Ruleset:
    ruleset = DEFAULT_RULESET
    for rule_id in reversed(rule_ids):
        ruleset = ruleset.with_rule(Kind.ROOM, rule(rule_id))
    return ruleset


def test_a_new_rule_goes_on_top_of_the_users_own_unless_it_is_told_where_to() -> None:
    ruleset = with_rooms("a", "b", "c")
    assert own_ids(ruleset) == ["a", "b", "c"]
    assert own_ids(ruleset.with_rule(Kind.ROOM, rule("x"), before="b")) == ["a", "x", "b", "c"]
    assert own_ids(ruleset.with_rule(Kind.ROOM, rule("x"), after="b")) == ["a", "b", "x", "c"]
    assert own_ids(ruleset.with_rule(Kind.ROOM, rule("x"), before="c", after="a")) == ["a", "b", "x", "c"]


def test_an_older_rule_is_changed_in_its_place_or_moved_and_stays_off() -> None:
    ruleset = with_rooms("a", "b", "c").with_enabled(Kind.ROOM, "b", False)
    quiet = PushRule("b", QUIET)
    changed = ruleset.with_rule(Kind.ROOM, quiet)
    assert own_ids(changed) == ["a", "b", "c"]
    assert changed.rule(Kind.ROOM, "b") == PushRule("b", QUIET, enabled=False)
    assert own_ids(ruleset.with_rule(Kind.ROOM, quiet, before="a")) == ["b", "a", "c"]
    assert own_ids(ruleset.with_rule(Kind.ROOM, quiet, after="c")) == ["a", "c", "b"]


@pytest.mark.parametrize("neighbour", ["nothing", ".m.rule.message", "x"])
def test_a_rule_cannot_be_put_next_to_one_that_the_user_has_not_made(neighbour: str) -> None:
    with pytest.raises(NeighbourNotFound):
        with_rooms("a").with_rule(Kind.ROOM, rule("x"), before=neighbour)
    with pytest.raises(NeighbourNotFound):
        with_rooms("a").with_rule(Kind.ROOM, rule("x"), after=neighbour)


def test_own_rules_stand_before_the_default_ones_but_after_the_master() -> None:
    ruleset = DEFAULT_RULESET.with_rule(Kind.OVERRIDE, rule("mine"))
    assert [rule.rule_id for rule in ruleset.rules(Kind.OVERRIDE)][:2] == [".m.rule.master", "mine"]
    ruleset = DEFAULT_RULESET.with_rule(Kind.UNDERRIDE, rule("mine"))
    assert [rule.rule_id for rule in ruleset.rules(Kind.UNDERRIDE)][:2] == ["mine", ".m.rule.call"]


def test_a_rule_id_is_taken_within_its_kind_only() -> None:
    ruleset = with_rooms("a").with_rule(Kind.SENDER, rule("a"))
    assert own_ids(ruleset) == own_ids(ruleset, Kind.SENDER) == ["a"]
    assert own_ids(ruleset.without_rule(Kind.ROOM, "a")) == []
    assert own_ids(ruleset.without_rule(Kind.ROOM, "a"), Kind.SENDER) == ["a"]


def test_what_is_not_there_is_neither_shown_nor_deleted_nor_changed() -> None:
    for kind, rule_id in ((Kind.ROOM, "x"), (Kind.ROOM, ".m.rule.message"), (Kind.OVERRIDE, ".m.rule.none")):
        with pytest.raises(RuleNotFound):
            with_rooms("a").rule(kind, rule_id)
        with pytest.raises(RuleNotFound):
            with_rooms("a").without_rule(kind, rule_id)
        with pytest.raises(RuleNotFound):
            with_rooms("a").with_enabled(kind, rule_id, True)
        with pytest.raises(RuleNotFound):
            with_rooms("a").with_actions(kind, rule_id, NOTIFY)


def test_default_rules_can_be_switched_and_given_other_actions_but_not_deleted_or_replaced() -> None:
    ruleset = DEFAULT_RULESET.with_enabled(Kind.OVERRIDE, ".m.rule.master", True)
    ruleset = ruleset.with_actions(Kind.UNDERRIDE, ".m.rule.message", QUIET)
    assert ruleset.rule(Kind.OVERRIDE, ".m.rule.master").enabled
    assert ruleset.rule(Kind.UNDERRIDE, ".m.rule.message").actions == QUIET
    with pytest.raises(RuleNotFound):
        ruleset.without_rule(Kind.OVERRIDE, ".m.rule.master")
    with pytest.raises(InvalidRule):
        ruleset.with_rule(Kind.OVERRIDE, rule(".m.rule.master"))


def test_a_default_rule_changed_back_is_as_if_nothing_had_been() -> None:
    ruleset = DEFAULT_RULESET.with_enabled(Kind.OVERRIDE, ".m.rule.master", True)
    ruleset = ruleset.with_actions(Kind.OVERRIDE, ".m.rule.master", NOTIFY)
    ruleset = ruleset.with_enabled(Kind.OVERRIDE, ".m.rule.master", False)
    assert ruleset != DEFAULT_RULESET
    assert ruleset.with_actions(Kind.OVERRIDE, ".m.rule.master", QUIET) == DEFAULT_RULESET
    assert with_rooms("a").without_rule(Kind.ROOM, "a") == DEFAULT_RULESET


def test_there_is_a_limit_and_it_holds_nobody_from_changing_a_rule() -> None:
    many = Ruleset({Kind.ROOM: tuple(rule(str(number)) for number in range(MAX_RULES))})
    with pytest.raises(TooManyRules):
        many.with_rule(Kind.SENDER, rule("x"))
    assert many.with_rule(Kind.ROOM, PushRule("7", QUIET)).rule(Kind.ROOM, "7").actions == QUIET


def test_the_api_shows_kinds_and_rules_in_the_order_in_which_they_are_asked() -> None:
    ruleset = with_rooms("!a:b").with_rule(
        Kind.CONTENT, parse_rule(Kind.CONTENT, "word", {"pattern": "cake", "actions": ["notify"]})
    )
    shown = ruleset.as_json(UserID(ALICE))
    assert list(shown) == ["override", "content", "postcontent", "room", "sender", "underride"]
    assert shown["room"] == [{"rule_id": "!a:b", "default": False, "enabled": True, "actions": ["notify"]}]
    assert shown["content"][0]["pattern"] == "cake"
    assert "conditions" not in shown["content"][0]
    assert shown["override"][0] == {
        "rule_id": ".m.rule.master",
        "default": True,
        "enabled": False,
        "actions": [],
        "conditions": [],
    }


def test_the_rules_about_oneself_name_oneself() -> None:
    shown = {rule["rule_id"]: rule for rule in DEFAULT_RULESET.as_json(UserID(ALICE))["override"]}
    assert shown[".m.rule.is_user_mention"]["conditions"] == [
        {"kind": "event_property_contains", "key": r"content.m\.mentions.user_ids", "value": ALICE}
    ]
    assert shown[".m.rule.invite_for_me"]["conditions"][2]["pattern"] == ALICE
    json.dumps(shown)


@given(rulesets())
def test_what_was_stored_is_read_back(ruleset: Ruleset) -> None:
    assert from_stored(json.loads(json.dumps(to_stored(ruleset)))) == ruleset


def test_changes_of_a_default_rule_that_is_no_more_are_forgotten() -> None:
    stored = {"own": {}, "changes": {"override": {".m.rule.roomnotif": {"enabled": False}}}}
    assert from_stored(stored) == DEFAULT_RULESET


@pytest.mark.parametrize(
    ("kind", "rule_id", "body"),
    [
        (Kind.ROOM, ".a", {"actions": []}),
        (Kind.ROOM, "a/b", {"actions": []}),
        (Kind.ROOM, "a\\b", {"actions": []}),
        (Kind.ROOM, "", {"actions": []}),
        (Kind.ROOM, "a" * 256, {"actions": []}),
        (Kind.ROOM, "a", {}),
        (Kind.ROOM, "a", {"actions": "notify"}),
        (Kind.ROOM, "a", {"actions": ["sing"]}),
        (Kind.ROOM, "a", {"actions": [{"sound": "default"}]}),
        (Kind.ROOM, "a", {"actions": [["notify"]]}),
        (Kind.CONTENT, "a", {"actions": []}),
        (Kind.CONTENT, "a", {"actions": [], "pattern": 1}),
        (Kind.CONTENT, "a", {"actions": [], "pattern": "x" * 1025}),
        (Kind.OVERRIDE, "a", {"actions": [], "conditions": {}}),
        (Kind.OVERRIDE, "a", {"actions": [], "conditions": ["x"]}),
        (Kind.OVERRIDE, "a", {"actions": [], "conditions": [{}]}),
        (Kind.OVERRIDE, "a", {"actions": [], "conditions": [{"kind": "event_match", "key": "type"}]}),
        (Kind.UNDERRIDE, "a", {"actions": [], "conditions": [{"kind": "room_member_count", "is": 2}]}),
        (Kind.UNDERRIDE, "a", {"actions": [], "conditions": [{"kind": "x"}] * 51}),
    ],
)
def test_a_rule_that_is_not_one_is_refused(kind: Kind, rule_id: str, body: dict[str, object]) -> None:
    with pytest.raises(InvalidRule) as refused:
        parse_rule(kind, rule_id, body)
    assert refused.value.status == 400


def test_conditions_of_kinds_to_come_are_kept() -> None:
    kept = parse_rule(Kind.OVERRIDE, "a", {"actions": [], "conditions": [{"kind": "moon", "phase": 1}]})
    assert kept.as_json(Kind.OVERRIDE, UserID(ALICE))["conditions"] == [{"kind": "moon", "phase": 1}]


def test_there_are_five_kinds() -> None:
    assert parse_kind("underride") is Kind.UNDERRIDE
    with pytest.raises(UnknownKind):
        parse_kind("device")


@given(actions=json_values, conditions=json_values, pattern=json_values)
def test_arbitrary_json_is_a_rule_or_refused(actions: object, conditions: object, pattern: object) -> None:
    for kind in Kind:
        with suppress(InvalidRule):
            rule = parse_rule(kind, "a", {"actions": actions, "conditions": conditions, "pattern": pattern})
            assert rule.actions.json == tuple(actions)  # type: ignore[call-overload]
            compile_rules([(kind, rule)])


def test_refusals_are_errors_of_the_protocol_that_the_api_can_tell() -> None:
    for refusal in (InvalidRule, NeighbourNotFound, RuleNotFound, TooManyRules, UnknownKind):
        assert issubclass(refusal, ProtocolError)
        assert issubclass(refusal, MatrixError)
