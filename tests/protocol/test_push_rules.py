"""What each condition of a push rule means, and the order in which rules are asked."""

from typing import Any

import pytest

from protocol.ids import UserID
from protocol.push_rules.defaults import DEFAULTS
from protocol.push_rules.match import Context, EventProperties, compile_rules, evaluate, first_match
from protocol.push_rules.rule import Actions, Kind, PushRule
from protocol.push_rules.ruleset import DEFAULT_RULESET, Ruleset
from tests.protocol.push_events import ALICE, BOB, ROOM, Happening, said

NOTIFY = Actions.of(("notify",))


def reader(
    user_id: str = ALICE, name: str | None = "Alice", members: int = 3, power: float = 0, **levels: int
) -> Context:
    return Context(UserID(user_id), name, members, power, levels)


def holds(condition: dict[str, Any], event: Happening, context: Context | None = None) -> bool:
    rules = compile_rules([(Kind.OVERRIDE, PushRule("rule", NOTIFY, (condition,)))])
    return evaluate(rules, EventProperties(event), context or reader()) is not None


def by_default(event: Happening, context: Context | None = None) -> str | None:
    rule = first_match(compile_rules(DEFAULT_RULESET.in_order()), EventProperties(event), context or reader())
    return None if rule is None else rule.rule_id


def event_match(key: str, pattern: str) -> dict[str, Any]:
    return {"kind": "event_match", "key": key, "pattern": pattern}


@pytest.mark.parametrize(
    ("pattern", "body", "found"),
    [
        ("cake", "a cake", True),
        ("cake", "CAKE!", True),
        ("cake", "cakes", False),
        ("cake", "a_cake", False),
        ("cake", "ácake", True),  # á is no word character of the specification's
        ("cake*lie", "the cake is a lie.", True),
        ("cake*lie", "the cake is alien", False),
        ("cake*lie", "the cakelie", True),
        ("c?ke", "some coke", True),
        ("c?ke", "some cke", False),
        ("*cake", "oncake", True),
        ("cake*", "cakes", True),
        ("one two", "one two three", True),
        ("a.c", "abc", False),
        ("c\nd", "b c\nd e", True),
        ("b*d", "a b\nc d", True),
        ("", "", True),
    ],
)
def test_a_pattern_finds_words_of_the_body(pattern: str, body: str, found: bool) -> None:
    assert holds(event_match("content.body", pattern), said(body)) is found


@pytest.mark.parametrize(
    ("pattern", "value", "matches"),
    [
        ("m.room.*", "m.room.message", True),
        ("M.ROOM.MESSAGE", "m.room.message", True),
        ("m.room", "m.room.message", False),
        ("*.message", "m.room.message", True),
        ("m*r?om*e", "m.room.message", True),
        ("m.room.messag?", "m.room.message", True),
        ("m.room.message?", "m.room.message", False),
        ("m*e*m", "m.room.message", False),
        ("m\\?", "m\\x", True),
    ],
)
def test_a_pattern_matches_the_whole_of_any_other_property(pattern: str, value: str, matches: bool) -> None:
    assert holds(event_match("type", pattern), Happening(type=value)) is matches


def test_the_beginning_and_the_end_of_a_pattern_do_not_overlap() -> None:
    assert not holds(event_match("type", "ab*ba"), Happening(type="aba"))


def test_a_pattern_of_many_wildcards_does_not_take_for_ever() -> None:
    pattern = "*a" * 40 + "b"
    assert not holds(event_match("type", pattern), Happening(type="a" * 60_000))
    assert not holds(event_match("content.body", pattern), said("a " * 30_000))


def test_paths_lead_through_objects_and_dots_in_keys_are_escaped() -> None:
    event = said("x", **{"m.relates_to": {"rel_type": "m.thread"}, "a\\b": {"c": "d"}, "list": ["y"]})
    assert holds(event_match(r"content.m\.relates_to.rel_type", "m.thread"), event)
    assert not holds(event_match("content.m.relates_to.rel_type", "m.thread"), event)
    assert holds(event_match(r"content.a\\b.c", "d"), event)
    assert holds(event_match(r"content.a\b.c", "d"), event)
    assert not holds(event_match("content.list", "y"), event)
    assert not holds(event_match("content.list.0", "y"), event)
    assert not holds(event_match("content", "*"), event)


@pytest.mark.parametrize("value", [True, False, None, 1, 0, "1", ""])
@pytest.mark.parametrize("wanted", [True, False, None, 1, 0, "1", ""])
def test_a_property_is_a_value_of_the_same_type(value: object, wanted: object) -> None:
    same = type(value) is type(wanted) and value == wanted
    property_is = {"kind": "event_property_is", "key": "content.it", "value": wanted}
    contains = {"kind": "event_property_contains", "key": "content.it", "value": wanted}
    assert holds(property_is, said("x", it=value)) is same
    assert holds(contains, said("x", it=["other", value])) is same
    assert not holds(contains, said("x", it=value))
    assert not holds(property_is, said("x"))


@pytest.mark.parametrize(
    ("given", "two", "three"),
    [
        ("2", True, False),
        ("==3", False, True),
        (">2", False, True),
        (">=2", True, True),
        ("<3", True, False),
        ("<=3", True, True),
        ("2.0", False, False),
        ("=2", False, False),
        ("", False, False),
    ],
)
def test_members_are_counted(given: str, two: bool, three: bool) -> None:
    condition = {"kind": "room_member_count", "is": given}
    assert holds(condition, said("x"), reader(members=2)) is two
    assert holds(condition, said("x"), reader(members=3)) is three


def test_a_sender_needs_the_power_to_notify_which_is_50_if_nothing_is_said() -> None:
    condition = {"kind": "sender_notification_permission", "key": "room"}
    assert not holds(condition, said("x"), reader(power=49))
    assert holds(condition, said("x"), reader(power=50))
    assert holds(condition, said("x"), reader(power=20, room=20))
    assert not holds(condition, said("x"), reader(power=50, room=60))
    assert holds(condition, said("x"), reader(power=float("inf"), room=2**53))


def test_a_display_name_is_found_as_words_and_never_as_a_pattern() -> None:
    condition = {"kind": "contains_display_name"}
    assert holds(condition, said("hello alice!"))
    assert not holds(condition, said("hello malice"))
    assert not holds(condition, said("hello"), reader(name="*"))
    assert not holds(condition, said("hello"), reader(name=None))
    assert not holds(condition, said(""), reader(name=""))


@pytest.mark.parametrize(
    "condition",
    [
        {"kind": "com.example.moon_is_full"},
        {"kind": 1},
        {"kind": []},
        {},
        {"kind": "event_match", "key": "type"},
        {"kind": "event_match", "key": 1, "pattern": "*"},
        {"kind": "event_property_is", "key": "type"},
        {"kind": "event_property_is", "key": "type", "value": []},
        {"kind": "event_property_contains", "key": "type"},
        {"kind": "room_member_count"},
        {"kind": "sender_notification_permission"},
    ],
)
def test_a_condition_that_is_unknown_or_malformed_never_holds(condition: dict[str, Any]) -> None:
    assert not holds(condition, said("x"))


def test_every_condition_must_hold_and_no_condition_always_does() -> None:
    yes, no = event_match("type", "m.room.message"), event_match("type", "m.sticker")
    for conditions, expected in (((), True), ((yes,), True), ((yes, no), False), ((no, yes), False)):
        rules = compile_rules([(Kind.UNDERRIDE, PushRule("rule", NOTIFY, conditions))])
        assert (evaluate(rules, EventProperties(said("x")), reader()) is not None) is expected


def test_the_kinds_are_asked_in_their_order_and_the_first_match_decides() -> None:
    def rule(rule_id: str, **more: Any) -> PushRule:
        return PushRule(rule_id, NOTIFY, **more)

    rules = Ruleset()
    expected = []
    steps = [
        (Kind.UNDERRIDE, rule("mine")),
        (Kind.SENDER, rule(BOB)),
        (Kind.ROOM, rule(ROOM)),
        (Kind.CONTENT, rule("word", pattern="cake")),
        (Kind.OVERRIDE, rule("all")),
    ]
    for kind, added in steps:
        rules = rules.with_rule(kind, added)
        match = first_match(compile_rules(rules.in_order()), EventProperties(said("cake")), reader())
        expected.append((match.kind, match.rule_id) if match else None)
    assert expected == [(kind, added.rule_id) for kind, added in steps]


def test_nobody_is_notified_of_their_own_event() -> None:
    rules = compile_rules(DEFAULT_RULESET.in_order())
    assert evaluate(rules, EventProperties(said("x")), reader(BOB)) is None
    assert evaluate(rules, EventProperties(said("x")), reader(ALICE)) == NOTIFY


def invite_of(user_id: str) -> Happening:
    return Happening("m.room.member", {"membership": "invite"}, user_id)


@pytest.mark.parametrize(
    ("event", "rule_id"),
    [
        (said("x"), ".m.rule.message"),
        (Happening("m.room.encrypted", {}), ".m.rule.encrypted"),
        (said("x", msgtype="m.notice"), ".m.rule.suppress_notices"),
        (said("x", **{"m.mentions": {"user_ids": [BOB, ALICE]}}), ".m.rule.is_user_mention"),
        (said("x", **{"m.mentions": {"user_ids": [BOB]}}), ".m.rule.message"),
        (said("x", msgtype="m.notice", **{"m.mentions": {"user_ids": [ALICE]}}), ".m.rule.suppress_notices"),
        (said("x", **{"m.mentions": {"room": True}}), ".m.rule.message"),
        (said("x", **{"m.relates_to": {"rel_type": "m.replace"}}), ".m.rule.suppress_edits"),
        (said("x", **{"m.relates_to": {"rel_type": "m.thread"}}), ".m.rule.message"),
        (invite_of(ALICE), ".m.rule.invite_for_me"),
        (invite_of(BOB), ".m.rule.member_event"),
        (Happening("m.room.tombstone", {}, ""), ".m.rule.tombstone"),
        (Happening("m.room.tombstone", {}, "x"), None),
        (Happening("m.room.server_acl", {}, ""), ".m.rule.room.server_acl"),
        (Happening("m.reaction", {}), ".m.rule.reaction"),
        (Happening("m.call.invite", {}), ".m.rule.call"),
        (Happening("org.matrix.msc3381.poll.start", {}), ".org.matrix.msc3930.rule.poll_start"),
        (Happening("org.matrix.msc3381.poll.end", {}), ".org.matrix.msc3930.rule.poll_end"),
        (Happening("org.matrix.msc3381.poll.response", {}), ".org.matrix.msc3930.rule.poll_response"),
        (Happening("m.sticker", {}), None),
        (Happening("m.room.topic", {}, ""), None),
    ],
)
def test_the_default_rules_by_what_they_are_for(event: Happening, rule_id: str | None) -> None:
    assert by_default(event) == rule_id


def test_a_room_of_two_has_its_own_rules() -> None:
    two = reader(members=2)
    assert by_default(said("x"), two) == ".m.rule.room_one_to_one"
    assert by_default(Happening("m.room.encrypted", {}), two) == ".m.rule.encrypted_room_one_to_one"
    poll = Happening("org.matrix.msc3381.poll.start", {})
    assert by_default(poll, two) == ".org.matrix.msc3930.rule.poll_start_one_to_one"


def test_a_mention_of_the_room_counts_by_who_may() -> None:
    event = said("x", **{"m.mentions": {"room": True}})
    assert by_default(event, reader(power=50)) == ".m.rule.is_room_mention"


def test_highlights_and_notifications_are_read_off_the_actions() -> None:
    def means(*actions: Any) -> tuple[bool, bool]:
        parsed = Actions.of(actions)
        return parsed.notify, parsed.highlight

    assert means("notify", {"set_tweak": "highlight"}) == (True, True)
    assert means("notify", {"set_tweak": "highlight", "value": False}) == (True, False)
    assert means("notify", {"set_tweak": "sound", "value": "default"}) == (True, False)
    assert means({"set_tweak": "highlight"}) == (False, False)
    assert means("dont_notify") == means("coalesce") == means() == (False, False)


def test_the_default_rules_have_an_id_each_and_begin_with_a_dot() -> None:
    for rules in DEFAULTS.values():
        ids = [rule.rule_id for rule in rules]
        assert len(set(ids)) == len(ids)
        assert all(rule_id.startswith(".") for rule_id in ids)
        assert all(rule.default for rule in rules)
