"""An event that comes again, from its server and from the one that let its sender in, has the place that it had."""

from __future__ import annotations

from tests.client_api.stored import events_of
from tests.federation.scene import set_the_scene
from tests.fixtures.federation import MakeFederated, MakeLying


async def test_a_join_that_is_in_the_state_already(
    make_federated: MakeFederated, make_lying: MakeLying
) -> None:
    scene = await set_the_scene(make_federated, make_lying)
    (join,) = scene.view.latest
    assert await scene.sends(join) == {join.event_id: {}}

    said = await scene.alice.send(scene.room_id, "welcome")

    (json,) = [e["json"] for e in await events_of(scene.one, scene.room_id) if e["event_id"] == said]
    assert json["prev_events"] == [join.event_id]
