"""History visibility."""

import pytest

from protocol.room_versions import V11
from protocol.visibility import Circumstances, may_see, may_see_event
from tests.protocol.rooms import ALICE, BOB, CAROL, Room, foreign


@pytest.mark.parametrize(
    ("visibility", "membership", "joined_since", "seen"),
    [
        ("world_readable", None, False, True),
        ("world_readable", "ban", False, True),
        ("shared", "join", False, True),
        ("shared", None, True, True),
        ("shared", "leave", False, False),
        ("shared", "invite", False, False),
        ("invited", "invite", False, True),
        ("invited", "join", False, True),
        ("invited", None, True, False),
        ("joined", "join", False, True),
        ("joined", "invite", True, False),
        (None, None, True, True),
        ("nonsense", None, True, True),
        (["nonsense"], None, False, False),
    ],
)
def test_rules(visibility: object, membership: str | None, joined_since: bool, seen: bool) -> None:
    assert may_see(visibility, membership, joined_since) is seen


def test_a_change_of_visibility_is_seen_under_the_old_and_the_new_rule() -> None:
    room = Room.opened(V11)
    opening = room.put(ALICE, "m.room.history_visibility", {"history_visibility": "world_readable"}, "")
    closing = room.put(ALICE, "m.room.history_visibility", {"history_visibility": "joined"}, "")
    assert may_see_event(opening, BOB, Circumstances("joined", None), joined_since=False)
    assert may_see_event(closing, BOB, Circumstances("world_readable", None), joined_since=False)
    assert not may_see_event(closing, BOB, Circumstances("joined", None), joined_since=False)


def test_ones_own_join_and_leave_are_seen() -> None:
    room = Room.opened(V11)
    join = room.member(BOB, "join")
    leave = room.member(BOB, "leave")
    assert may_see_event(join, BOB, Circumstances("joined", None), joined_since=False)
    assert may_see_event(leave, BOB, Circumstances("joined", "join"), joined_since=False)
    assert not may_see_event(join, CAROL, Circumstances("joined", None), joined_since=False)


def test_an_invite_is_seen_by_whom_it_invites_where_invited_may_see() -> None:
    room = Room.opened(V11)
    invite = room.member(BOB, "invite", by=ALICE)
    assert may_see_event(invite, BOB, Circumstances("invited", None), joined_since=False)
    assert not may_see_event(invite, BOB, Circumstances("joined", None), joined_since=False)


def test_who_left_does_not_see_what_came_after() -> None:
    room = Room.opened(V11, BOB)
    room.member(BOB, "leave")
    message = room.says(ALICE, "he is gone")
    assert not may_see_event(message, BOB, Circumstances("shared", "leave"), joined_since=False)


def test_a_message_that_looks_like_a_visibility_event_is_none() -> None:
    room = Room.opened(V11)
    event = foreign(room, ALICE, "m.room.history_visibility", {"history_visibility": "world_readable"})
    assert not may_see_event(event, BOB, Circumstances("joined", None), joined_since=False)
