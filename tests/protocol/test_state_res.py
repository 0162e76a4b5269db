"""State resolution: what it is for, shown on rooms that split, and what always holds."""

from random import Random

import pytest

from protocol.errors import Rejected
from protocol.events import Event
from protocol.ids import EventID
from protocol.room_versions import ROOM_VERSIONS, V1, V2, V10, V11, V12, RoomVersion
from protocol.state_res import resolve
from protocol.state_res.conflicts import auth_difference_of, separate
from protocol.state_res.order import by_mainline, by_power
from tests.protocol.rooms import ALICE, BOB, CAROL, Room, foreign

every_version = pytest.mark.parametrize(
    "version", ROOM_VERSIONS.values(), ids=lambda version: f"v{version.id}"
)
since_v2 = pytest.mark.parametrize(
    "version", list(ROOM_VERSIONS.values())[1:], ids=lambda version: f"v{version.id}"
)


def _resolve(*branches: Room, rejected: tuple[Event, ...] = ()) -> dict[tuple[str, str], Event]:
    version, events = branches[0].version, branches[0].events
    ids = resolve(version, [b.state_ids for b in branches], events, {event.event_id for event in rejected})
    return {key: events[event_id] for key, event_id in ids.items()}


def _powers(version: RoomVersion, **levels: int) -> dict[str, int]:
    users: dict[str, int] = {} if version.creator_power else {ALICE: 100}
    return users | {{"bob": BOB, "carol": CAROL}[name]: level for name, level in levels.items()}


@every_version
def test_equal_states_stay_as_they_are(version: RoomVersion) -> None:
    room = Room.opened(version, BOB)
    assert _resolve(room) == room.state
    assert _resolve(room, room.fork(), room.fork()) == room.state


@every_version
def test_changes_of_different_things_are_merged(version: RoomVersion) -> None:
    left = Room.opened(version)
    left.put(ALICE, "m.room.topic", {"topic": "old"}, "")
    left.put(ALICE, "m.room.name", {"name": "old"}, "")
    right = left.fork()
    topic = left.put(ALICE, "m.room.topic", {"topic": "new"}, "")
    name = right.put(ALICE, "m.room.name", {"name": "new"}, "")
    resolved = _resolve(left, right)
    if version is V1:  # the deepest event wins
        assert resolved["m.room.topic", ""] in (topic, right.state["m.room.topic", ""])
    else:
        assert resolved["m.room.topic", ""] is topic
        assert resolved["m.room.name", ""] is name


@every_version
def test_what_a_banned_user_did_meanwhile_does_not_stand(version: RoomVersion) -> None:
    left = Room.opened(version, BOB)
    left.levels(_powers(version, bob=50))
    left.put(ALICE, "m.room.topic", {"topic": "talk"}, "")
    right = left.fork()
    ban = left.member(BOB, "ban", by=ALICE)
    right.put(BOB, "m.room.topic", {"topic": "nonsense"}, "")
    resolved = _resolve(left, right)
    if version is not V1:
        assert resolved["m.room.topic", ""].sender == ALICE
    assert resolved["m.room.member", BOB] is ban


@since_v2
def test_the_more_powerful_takes_away_the_power_first(version: RoomVersion) -> None:
    left = Room.opened(version, BOB, CAROL)
    left.levels(_powers(version, bob=60, carol=50))
    right = left.fork()
    right.member(CAROL, "ban", by=BOB)  # earlier in time
    demotion = left.levels(_powers(version, carol=50))
    resolved = _resolve(left, right)
    assert resolved["m.room.power_levels", ""] is demotion
    assert resolved["m.room.member", CAROL].membership == "join"


@since_v2
def test_of_two_topics_the_later_stands_however_the_branches_are_given(version: RoomVersion) -> None:
    left = Room.opened(version, BOB)
    left.levels(_powers(version, bob=50))
    right = left.fork()
    left.put(ALICE, "m.room.topic", {"topic": "first"}, "")
    later = right.put(BOB, "m.room.topic", {"topic": "second"}, "")
    assert _resolve(left, right)["m.room.topic", ""] is later
    assert _resolve(right, left)["m.room.topic", ""] is later


def test_a_key_that_one_state_lacks_is_a_conflict_since_version_2() -> None:
    for version in (V1, V2):
        left = Room.opened(version)
        right = left.fork()
        topic = left.put(ALICE, "m.room.topic", {"topic": "talk"}, "")
        assert _resolve(left, right)["m.room.topic", ""] is topic
        unconflicted, conflicted = separate([left.state_ids, right.state_ids])
        assert (unconflicted, conflicted) == (right.state_ids, {topic.event_id})


def test_state_that_was_rejected_is_not_admitted() -> None:
    left = Room.opened(V11, BOB)
    right = left.fork()
    bad = left.append(foreign(left, BOB, "m.room.topic", {"topic": "mine"}, ""))
    assert ("m.room.topic", "") not in _resolve(left, right)
    good = right.put(ALICE, "m.room.topic", {"topic": "talk"}, "")
    assert _resolve(left, right)["m.room.topic", ""] is good
    assert ("m.room.topic", "") not in _resolve(right, right.fork(), left, rejected=(good, bad))


def test_version_1_takes_what_only_one_state_has_unchecked() -> None:
    for version, stands in ((V1, True), (V2, False)):
        left = Room.opened(version, BOB)
        right = left.fork()
        left.append(foreign(left, BOB, "m.room.topic", {"topic": "mine"}, ""))
        assert (("m.room.topic", "") in _resolve(left, right)) is stands


def test_version_1_stops_at_the_first_membership_that_is_not_allowed() -> None:
    left = Room.opened(V1, BOB)
    right = left.fork()
    ban = left.member(BOB, "ban", by=ALICE)
    right.says(BOB, "deeper")
    right.member(BOB, "join", displayname="Bob")
    assert _resolve(left, right)["m.room.member", BOB] is ban


def _with(room: Room, *others: Event) -> list[dict[tuple[str, str], EventID]]:
    """The room's state, and the same with these events in the place of its own."""
    return [room.state_ids, {**room.state_ids, **{event.key: event.event_id for event in others}}]


def test_version_12_goes_through_what_lies_between_two_conflicted_events() -> None:
    """MSC4297: one state was reset to old power levels; what led from them to the new ones is in all auth chains."""
    for version, reset in ((V11, True), (V12, False)):
        room = Room.opened(version, CAROL)
        old = room.levels(_powers(version))
        room.levels(_powers(version, carol=100))
        new = room.levels(_powers(version, carol=100), by=CAROL, events_default=1)
        room.put(CAROL, "m.room.topic", {"topic": "rests on the new levels"}, "")
        resolved = resolve(version, _with(room, old), room.events)
        assert resolved["m.room.power_levels", ""] == (old if reset else new).event_id


def test_version_12_judges_by_the_state_of_the_time_not_by_what_all_agree_on_now() -> None:
    for version, stands in ((V11, False), (V12, True)):
        room = Room.opened(version, BOB)
        room.levels(_powers(version, bob=50))
        topic = room.put(BOB, "m.room.topic", {"topic": "talk"}, "")
        room.levels(_powers(version))
        with_topic = room.state_ids
        without = {key: event_id for key, event_id in with_topic.items() if event_id != topic.event_id}
        resolved = resolve(version, [with_topic, without], room.events)
        assert (("m.room.topic", "") in resolved) is stands


def test_power_order_goes_by_the_power_that_the_sender_had_then() -> None:
    room = Room.opened(V11, BOB, CAROL, "@dave:three")
    early = room.draft(CAROL, "m.room.member", {"membership": "leave"}, "@dave:three")  # has no power
    room.levels({ALICE: 100, BOB: 60, CAROL: 50})
    branch = room.fork()
    weak = branch.member("@dave:three", "ban", by=CAROL)
    strong = room.member(CAROL, "leave", by=BOB)
    room.append(early)
    conflicted = {early.event_id, weak.event_id, strong.event_id}
    assert by_power(V11, conflicted, room.events) == [strong.event_id, weak.event_id, early.event_id]


def test_power_order_without_power_levels_puts_the_creator_first() -> None:
    room = Room(V10)
    room.member(ALICE, "join")
    room.put(ALICE, "m.room.join_rules", {"join_rule": "public"}, "")
    room.member(BOB, "join")
    of_bob = room.append(foreign(room, BOB, "m.room.member", {"membership": "ban"}, CAROL))
    of_alice = room.append(foreign(room, ALICE, "m.room.member", {"membership": "ban"}, "@dave:three"))
    unnamed = room.append(foreign(room, BOB, "m.room.member", {"membership": "ban"}, ALICE, auth_events=[]))
    conflicted = {of_bob.event_id, of_alice.event_id, unnamed.event_id}
    expected = [of_alice.event_id, of_bob.event_id, unnamed.event_id]
    assert by_power(V10, conflicted, room.events) == expected


def test_long_chains_of_power_levels_do_not_recurse() -> None:
    left = Room.opened(V11, BOB)
    right = left.fork()
    for number in range(3000):
        left.levels({ALICE: 100, BOB: number % 50})
    topic = right.put(ALICE, "m.room.topic", {"topic": "talk"}, "")
    resolved = _resolve(left, right)
    assert resolved["m.room.power_levels", ""] is left.state["m.room.power_levels", ""]
    assert resolved["m.room.topic", ""] is topic


def _chain(event_id: EventID, events: dict[EventID, Event]) -> set[EventID]:
    return {event_id}.union(*(_chain(auth_event, events) for auth_event in events[event_id].auth_events))


def test_mainline_order_goes_by_the_power_levels_that_an_event_was_sent_under() -> None:
    room = Room.opened(V11)
    branch = room.fork()
    newer = room.levels({ALICE: 100}, events_default=0)
    under_newer = room.put(ALICE, "m.room.name", {"name": "sent first"}, "")
    under_older = branch.put(ALICE, "m.room.topic", {"topic": "sent last"}, "")
    nowhere = room.append(foreign(room, ALICE, "m.room.avatar", {}, "", auth_events=[]))
    ids = [under_newer.event_id, under_older.event_id, nowhere.event_id]
    expected = [nowhere.event_id, under_older.event_id, under_newer.event_id]
    assert by_mainline(newer.event_id, ids, room.events) == expected


@since_v2
def test_auth_difference_and_power_order_by_their_definitions(version: RoomVersion) -> None:
    for seed in range(5):
        chance = Random(seed)
        trunk = Room.opened(version, BOB, CAROL)
        branches = [trunk.fork() for _ in range(3)]
        for branch in branches:
            _scramble(branch, chance)
        sets, events = [branch.state_ids for branch in branches], trunk.events
        chains = [set[EventID]().union(*(_chain(e, events) for e in state.values())) for state in sets]
        unconflicted, conflicted = separate(sets)
        difference = auth_difference_of(sets, unconflicted, events)
        assert difference == set.union(*chains) - set.intersection(*chains)

        order = by_power(version, conflicted | difference, events)
        assert len(set(order)) == len(order)
        for place, event_id in enumerate(order):
            assert not set(order[place:]) & set(events[event_id].auth_events)


def _scramble(room: Room, chance: Random) -> None:
    for _ in range(8):
        sender = chance.choice((ALICE, BOB, CAROL))
        change = chance.choice(("topic", "member", "levels", "rule"))
        try:
            if change == "topic":
                room.put(sender, "m.room.topic", {"topic": str(chance.random())}, "")
            elif change == "member":
                target = chance.choice((ALICE, BOB, CAROL))
                room.member(target, chance.choice(("join", "leave", "ban", "invite")), by=sender)
            elif change == "levels":
                room.levels(_powers(room.version, bob=chance.choice((0, 50, 100))), by=sender)
            else:
                room.put(sender, "m.room.join_rules", {"join_rule": chance.choice(("public", "invite"))}, "")
        except Rejected:
            continue


@since_v2
def test_resolving_is_the_same_in_any_order_and_again(version: RoomVersion) -> None:
    for seed in range(15):
        chance = Random(seed)
        trunk = Room.opened(version, BOB, CAROL)
        branches = [trunk.fork() for _ in range(3)]
        for branch in branches:
            _scramble(branch, chance)
        resolved = _resolve(*branches)
        chance.shuffle(branches)
        assert _resolve(*branches, branches[0].fork()) == resolved
        unconflicted, _ = separate([branch.state_ids for branch in branches])
        assert unconflicted.items() <= {key: e.event_id for key, e in resolved.items()}.items()
