"""State resolution v1, v2 and v2.1 against Synapse's, in random rooms that split and come together."""

from random import Random

import pytest

from protocol.room_versions import ROOM_VERSIONS, RoomVersion
from protocol.state_res import resolve
from tests.protocol.oracle import synapse
from tests.protocol.oracle.random_rooms import RandomRoom
from tests.protocol.rooms import BOB, CAROL, Room

ROOMS = 25


def _branches(version: RoomVersion, seed: int) -> tuple[list[Room], Random]:
    """A room of some history, split in two or three that go on by themselves."""
    random_room = RandomRoom(version, seed, sane=True)
    random_room.room.put("@alice:one", "m.room.join_rules", {"join_rule": "public"}, "")
    for user in (BOB, CAROL):
        random_room.room.member(user, "join")
    _live(random_room, 10)
    trunk, branches = random_room.room, []
    for _ in range(random_room.chance.randint(2, 3)):
        random_room.room = trunk.fork()
        _live(random_room, random_room.chance.randint(5, 25))
        branches.append(random_room.room)
    return branches, random_room.chance


def _live(random_room: RandomRoom, proposals: int) -> None:
    for _ in range(proposals):
        random_room.accept_if_allowed(random_room.proposal())


@pytest.mark.parametrize("version", ROOM_VERSIONS.values(), ids=lambda version: f"v{version.id}")
def test_resolutions_agree(version: RoomVersion) -> None:
    conflicts = 0
    for seed in range(ROOMS):
        branches, _ = _branches(version, seed)
        sets = [branch.state_ids for branch in branches]
        conflicts += any(state != sets[0] for state in sets)
        ours = resolve(version, sets, branches[0].events)
        assert ours == synapse.resolve(version, sets, branches[0].events), f"seed {seed}"
        assert resolve(version, sets[::-1], branches[0].events) == ours, "the order of the states mattered"
    assert conflicts > ROOMS // 2, "hardly any conflicts: tests too little"
