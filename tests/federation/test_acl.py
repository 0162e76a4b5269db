"""Server access control lists, for what is sent to us."""

from __future__ import annotations

from typing import Any

import pytest

from tests.federation.scene import set_the_scene
from tests.fixtures.federation import MakeFederated, MakeLying


@pytest.mark.parametrize(
    ("acl", "is_admitted"),
    [
        ({"allow": ["*"], "deny": ["127.*"]}, False),
        ({"allow": ["local*"]}, False),
        ({"allow": ["*"], "allow_ip_literals": False}, False),
        ({"allow": ["*"], "deny": ["128.*"]}, True),
        ({"allow": ["*"], "allow_ip_literals": "no"}, True),
    ],
)
async def test_events_of_servers_that_are_shut_out_are_refused(
    make_federated: MakeFederated, make_lying: MakeLying, acl: dict[str, Any], is_admitted: bool
) -> None:
    scene = await set_the_scene(make_federated, make_lying, by_address=True)
    await scene.alice.set_state(scene.room_id, "m.room.server_acl", acl)
    event = scene.says(await scene.now())
    outcome = (await scene.sends(event))[event.event_id]
    assert ("error" not in outcome) is is_admitted
    assert (await scene.standing(event) == 0) is is_admitted


async def test_a_list_holds_for_its_own_room_only(
    make_federated: MakeFederated, make_lying: MakeLying
) -> None:
    scene = await set_the_scene(make_federated, make_lying, by_address=True)
    other = await set_the_scene(make_federated, make_lying)
    await scene.alice.set_state(scene.room_id, "m.room.server_acl", {"allow": ["localhost"]})
    event = other.says(await other.now())
    assert await other.sends(event) == {event.event_id: {}}
