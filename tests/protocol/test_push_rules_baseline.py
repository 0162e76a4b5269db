"""The baseline says for everybody what evaluating each user's rules would say."""

from hypothesis import event as note
from hypothesis import example, given, settings
from hypothesis import strategies as st

from protocol.ids import RoomID, UserID
from protocol.push_rules.baseline import Outcome, baseline
from protocol.push_rules.classify import PLAIN, SILENT, SPECIAL, RoomMode, classify
from protocol.push_rules.match import Context, EventProperties, compile_rules, evaluate
from protocol.push_rules.parse import parse_rule
from protocol.push_rules.rule import Actions, Kind
from protocol.push_rules.ruleset import DEFAULT_RULESET, Ruleset
from tests.protocol.push_events import ALICE, CAROL, OTHER_ROOM, ROOM, Happening, events, rooms, said, users

NOTIFY = Actions.of(("notify",))
QUIET = Actions.of(())
LOUD = Actions.of(("notify", {"set_tweak": "sound", "value": "bell"}))


def evaluated(ruleset: Ruleset, event: Happening, user_id: str, members: int, may_notify: bool) -> Outcome:
    context = Context(UserID(user_id), "Alice", members, 50 if may_notify else 0, {})
    actions = evaluate(compile_rules(ruleset.in_order()), EventProperties(event), context)
    return Outcome(False, False) if actions is None else Outcome(actions.notify, actions.highlight)


def outcome(ruleset: Ruleset, event: Happening, user_id: str, may_notify: bool) -> Outcome:
    mode = classify(ruleset).mode_in(RoomID(event.room_id))
    return baseline(event, may_notify).outcome(UserID(user_id), mode)


@given(event=events, user_id=users, members=st.integers(2, 4), may_notify=st.booleans())
@example(Happening("m.room.member", {"membership": "invite"}, ALICE), ALICE, 2, False)
@example(said("x", **{"m.mentions": {"user_ids": [ALICE], "room": True}}), ALICE, 2, True)
def test_a_user_of_the_default_rules(event: Happening, user_id: str, members: int, may_notify: bool) -> None:
    if user_id != event.sender:
        expected = evaluated(DEFAULT_RULESET, event, user_id, members, may_notify)
        assert outcome(DEFAULT_RULESET, event, user_id, may_notify) == expected


actions = st.sampled_from([[], ["dont_notify"], ["notify"], ["notify", {"set_tweak": "highlight"}]])
room_conditions = st.builds(lambda room: {"kind": "event_match", "key": "room_id", "pattern": room}, rooms)
other_conditions = st.sampled_from(
    [{"kind": "event_match", "key": "type", "pattern": "m.*"}, {"kind": "room_member_count", "is": "2"}]
)
conditions = st.lists(room_conditions | other_conditions, max_size=2)


def ruled(*steps: tuple[Kind, str, dict[str, object]]) -> Ruleset:
    ruleset = DEFAULT_RULESET
    for kind, rule_id, body in steps:
        ruleset = ruleset.with_rule(kind, parse_rule(kind, rule_id, body))
    return ruleset


def mute(room_id: str) -> tuple[Kind, str, dict[str, object]]:
    in_room = {"kind": "event_match", "key": "room_id", "pattern": room_id}
    return Kind.OVERRIDE, room_id, {"actions": ["dont_notify"], "conditions": [in_room]}


def mentions_only(room_id: str) -> tuple[Kind, str, dict[str, object]]:
    return Kind.ROOM, room_id, {"actions": []}


usual_steps = st.builds(mute, rooms) | st.builds(mentions_only, rooms)
bodies = st.fixed_dictionaries({"actions": actions, "conditions": conditions})
unusual_steps = (
    st.tuples(st.sampled_from([Kind.OVERRIDE, Kind.UNDERRIDE]), rooms | st.just("other"), bodies)
    | st.tuples(st.just(Kind.ROOM), rooms, bodies)
    | st.tuples(st.just(Kind.SENDER), users, bodies)
)


@st.composite
def rulesets(draw: st.DrawFn) -> Ruleset:
    steps = draw(st.lists(usual_steps, max_size=3))
    if draw(st.integers(0, 2)) == 0:
        steps += draw(st.lists(unusual_steps, max_size=2))
    ruleset = ruled(*draw(st.permutations(steps)))
    for kind, rule_id, _ in steps:
        ruleset = ruleset.with_enabled(kind, rule_id, draw(st.sampled_from([True, True, True, False])))
    if draw(st.integers(0, 3)) == 0:
        kind, rule = draw(st.sampled_from(list(DEFAULT_RULESET.in_order())))
        ruleset = ruleset.with_enabled(kind, rule.rule_id, draw(st.booleans()))
        changed = draw(st.sampled_from([rule.actions, LOUD, NOTIFY, QUIET]))
        ruleset = ruleset.with_actions(kind, rule.rule_id, changed)
    return ruleset


@settings(max_examples=400)
@given(ruleset=rulesets(), event=events, user_id=users, members=st.integers(2, 3), may_notify=st.booleans())
def test_a_user_of_any_rules_as_far_as_they_are_classified(
    ruleset: Ruleset, event: Happening, user_id: str, members: int, may_notify: bool
) -> None:
    mode = classify(ruleset).mode_in(RoomID(event.room_id))
    note(mode.name)
    if user_id != event.sender and mode is not RoomMode.EVALUATED:
        expected = evaluated(ruleset, event, user_id, members, may_notify)
        assert outcome(ruleset, event, user_id, may_notify) == expected


def test_an_event_says_whom_it_mentions_but_not_its_own_sender() -> None:
    event = said("x", **{"m.mentions": {"user_ids": [ALICE, CAROL, "@bob:one.example", 1]}})
    assert baseline(event, False).mentioned == {ALICE, CAROL}
    assert baseline(event, False).notify
    assert not baseline(event, False).highlight_room


def test_a_mention_in_an_event_that_notifies_nobody_else() -> None:
    found = baseline(Happening("m.sticker", {"m.mentions": {"user_ids": [ALICE]}}), False)
    assert not found.notify
    assert found.outcome(UserID(ALICE)) == Outcome(True, True)
    assert found.outcome(UserID(CAROL)) == Outcome(False, False)


def test_a_mention_of_the_room_highlights_for_all_in_every_mode_but_muted() -> None:
    found = baseline(said("x", **{"m.mentions": {"room": True}}), True)
    assert found.highlight_room
    assert found.outcome(UserID(ALICE), RoomMode.MENTIONS_ONLY) == Outcome(True, True)
    assert found.outcome(UserID(ALICE), RoomMode.MUTED) == Outcome(False, False)


MUTE, MENTIONS = mute(ROOM), mentions_only(ROOM)


def test_what_clients_offer_for_a_room_needs_no_evaluation() -> None:
    assert classify(ruled()) is PLAIN
    assert classify(ruled(MUTE)).rooms == {ROOM: RoomMode.MUTED}
    assert classify(ruled(MENTIONS)).rooms == {ROOM: RoomMode.MENTIONS_ONLY}
    assert classify(ruled(MENTIONS, MUTE)).rooms == {ROOM: RoomMode.MUTED}
    assert classify(ruled(MENTIONS).with_enabled(Kind.ROOM, ROOM, False)) is PLAIN


def test_a_rule_of_one_room_calls_for_evaluation_there_only() -> None:
    loud = classify(ruled((Kind.ROOM, ROOM, {"actions": ["notify"]})))
    assert loud.mode_in(RoomID(ROOM)) is RoomMode.EVALUATED
    assert loud.mode_in(RoomID(OTHER_ROOM)) is RoomMode.DEFAULT
    assert loud.is_special
    assert not classify(ruled(MUTE)).is_special


def test_keywords_senders_and_changed_defaults_call_for_evaluation_everywhere() -> None:
    assert classify(ruled((Kind.CONTENT, "cake", {"pattern": "cake", "actions": ["notify"]}))) is SPECIAL
    assert classify(ruled((Kind.SENDER, CAROL, {"actions": []}))) is SPECIAL
    assert classify(DEFAULT_RULESET.with_actions(Kind.UNDERRIDE, ".m.rule.message", QUIET)) is SPECIAL
    assert classify(DEFAULT_RULESET.with_enabled(Kind.OVERRIDE, ".m.rule.reaction", False)) is SPECIAL


def test_another_sound_changes_nothing_and_the_master_rule_everything() -> None:
    assert classify(DEFAULT_RULESET.with_actions(Kind.UNDERRIDE, ".m.rule.message", LOUD)) is PLAIN
    assert classify(DEFAULT_RULESET.with_enabled(Kind.OVERRIDE, ".m.rule.master", True)) is SILENT
