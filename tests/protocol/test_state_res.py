"""State resolution: what it is for, shown on rooms that split, and what always holds."""

from random import Random

import pytest

from protocol.errors import Rejected
from protocol.events import Event
from protocol.room_versions import ROOM_VERSIONS, V1, V2, V11, V12, RoomVersion
from protocol.state_res import resolve
from protocol.state_res.conflicts import separate
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


def test_version_12_does_not_bring_back_what_was_undone_before_the_split() -> None:
    """MSC4297: with v2 a state reset could restore an old join rule that both branches had left behind."""
    room = Room.opened(V12, BOB, CAROL)
    room.levels({BOB: 50, CAROL: 50})
    left, right = room, room.fork()
    left.put(BOB, "m.room.join_rules", {"join_rule": "invite"}, "")
    closed = right.put(CAROL, "m.room.join_rules", {"join_rule": "knock"}, "")
    assert _resolve(left, right)["m.room.join_rules", ""] is closed


def test_long_chains_of_power_levels_do_not_recurse() -> None:
    left = Room.opened(V11, BOB)
    right = left.fork()
    for number in range(3000):
        left.levels({ALICE: 100, BOB: number % 50})
    topic = right.put(ALICE, "m.room.topic", {"topic": "talk"}, "")
    resolved = _resolve(left, right)
    assert resolved["m.room.power_levels", ""] is left.state["m.room.power_levels", ""]
    assert resolved["m.room.topic", ""] is topic


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
