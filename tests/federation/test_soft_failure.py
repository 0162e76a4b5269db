"""Events that the state before them allows and the state now does not: they stay in the graph, and nobody is shown them."""

from __future__ import annotations

import pytest

from storage.events import Standing
from tests.client_api.stored import path, state_of
from tests.federation.scene import Scene, set_the_scene
from tests.federation.stranger import View
from tests.fixtures.federation import MakeFederated, MakeLying

VERSIONS = pytest.mark.parametrize("version", ["2", "10", "12"])


async def banned(scene: Scene) -> View:
    """Alice bans Eve; the point behind that."""
    await scene.alice.ok("POST", path(scene.room_id, "ban"), json={"user_id": scene.eve, "reason": "enough"})
    return await scene.now()


@VERSIONS
async def test_who_is_banned_cannot_speak_from_the_past(
    make_federated: MakeFederated, make_lying: MakeLying, version: str
) -> None:
    scene = await set_the_scene(make_federated, make_lying, version)
    since = (await scene.alice.sync())["next_batch"]
    behind = await banned(scene)
    late = scene.says(scene.view)
    assert await scene.sends(late) == {late.event_id: {}}
    assert await scene.standing(late) == Standing.SOFT_FAILED
    assert late.event_id not in await scene.timeline(since)
    assert [event.event_id for event in (await scene.now()).latest] == [behind.latest[0].event_id]
    status, _ = await scene.alice.get(path(scene.room_id, "event", late.event_id))
    assert status == 404
    page = await scene.alice.ok("GET", f"{path(scene.room_id, 'messages')}?dir=b&limit=100")
    assert late.event_id not in [event["event_id"] for event in page["chunk"]]


@VERSIONS
async def test_what_follows_on_a_soft_failed_event_is_soft_failed_too(
    make_federated: MakeFederated, make_lying: MakeLying, version: str
) -> None:
    scene = await set_the_scene(make_federated, make_lying, version)
    await banned(scene)
    late = scene.says(scene.view)
    later = scene.says(scene.view.with_event(late))
    await scene.sends(late, later)
    assert await scene.standing(later) == Standing.SOFT_FAILED


@VERSIONS
async def test_others_may_follow_on_a_soft_failed_event(
    make_federated: MakeFederated, make_lying: MakeLying, version: str
) -> None:
    scene = await set_the_scene(make_federated, make_lying, version)
    mallory = scene.stranger.user("mallory")
    join = scene.stranger.joins(scene.view, mallory)
    await scene.sends(join)
    view = await scene.now()
    behind = await banned(scene)
    late = scene.says(view)
    await scene.sends(late)
    assert await scene.standing(late) == Standing.SOFT_FAILED
    # Mallory's server has not heard of the ban when it answers.
    answer = scene.stranger.says(view.with_event(late), mallory)
    await scene.sends(answer)
    assert await scene.standing(answer) == Standing.TIMELINE
    latest = {event.event_id for event in (await scene.now()).latest}
    assert latest == {answer.event_id, behind.latest[0].event_id}
    assert (await state_of(scene.one, scene.room_id))["m.room.member", scene.eve]["membership"] == "ban"


@VERSIONS
async def test_soft_failed_state_is_not_in_the_room(
    make_federated: MakeFederated, make_lying: MakeLying, version: str
) -> None:
    scene = await set_the_scene(make_federated, make_lying, version)
    levels = {"users": {scene.eve: 50} | ({} if version == "12" else {scene.alice.user_id: 100})}
    await scene.alice.set_state(scene.room_id, "m.room.power_levels", levels)
    mighty = await scene.now()
    await banned(scene)
    topic = scene.says(mighty, "m.room.topic", {"topic": "revenge"}, "")
    await scene.sends(topic)
    assert await scene.standing(topic) == Standing.SOFT_FAILED
    assert ("m.room.topic", "") not in await state_of(scene.one, scene.room_id)
