"""After the worst that a network and lying servers can do, honest servers agree on all events and on the room's state.

`SIMULATION_SEEDS=5000 pytest tests/simulation` plays so many for each room version.
"""

from __future__ import annotations

import os

import pytest

from protocol.room_versions import version_named
from tests.simulation.world import World, ancestors

MAKER = "@alice:one"
SEEDS = int(os.environ.get("SIMULATION_SEEDS", "100"))


@pytest.mark.parametrize("version", ["6", "10", "11", "12"])
def test_honest_servers_agree_in_the_end(version: str) -> None:
    agreed = sum(check(version, seed) for seed in range(SEEDS))
    # The rest is what soft failure does: two parts of a room that each do not listen to the other's members.
    assert agreed >= 0.95 * SEEDS


def check(version: str, seed: int) -> bool:
    """Plays one seed; were the honest servers of one mind when they had talked, before the last word?"""
    world = World(version_named(version), seed)
    world.play(steps=40)
    world.talk()
    agreed = len({frozenset(server.state.items()) for server in world.honest}) == 1
    world.last_word()
    first, *others = world.honest
    for other in others:
        where = f"version {version}, seed {seed}: {first.name} and {other.name}"
        assert other.extremities == first.extremities, where
        for event_id in ancestors(first, first.extremities):
            assert (event_id in first.rejected) == (event_id in other.rejected), f"{where}: {event_id}"
            assert first.after[event_id] == other.after[event_id], f"{where}: {event_id}"
        assert first.state == other.state, where
        assert first.may_speak(MAKER), f"{where}: the maker has lost the room"
    return agreed
