"""Every field of every body with every wrong kind of value, and without it."""

from __future__ import annotations

from tests.fixtures.homeserver import Homeserver
from tests.hostile.attacks import attack_all
from tests.hostile.on_bodies import on_fields
from tests.hostile.operations import operations
from tests.hostile.world import make_place


async def test_values_of_another_kind_are_refused(homeserver: Homeserver) -> None:
    complaints = await attack_all(await make_place(homeserver), operations(), on_fields)
    assert not complaints, "\n".join(complaints)
