"""Bodies that are not JSON, not an object, or too large, for every operation."""

from __future__ import annotations

from tests.fixtures.homeserver import Homeserver
from tests.hostile.attacks import attack_all
from tests.hostile.on_bodies import on_bodies
from tests.hostile.operations import operations
from tests.hostile.world import make_place


async def test_what_is_not_a_json_object_is_refused(homeserver: Homeserver) -> None:
    complaints = await attack_all(await make_place(homeserver), operations(), on_bodies)
    assert not complaints, "\n".join(complaints)
