"""What becomes of an event does not hang on whether what it rests on came before it or was fetched for it."""

from __future__ import annotations

from storage.events import Standing
from tests.federation.scene import Scene, set_the_scene
from tests.federation.telling import Teller
from tests.fixtures.federation import MakeFederated, MakeLying


async def _standing(scene: Scene, *, rights_come_first: bool, filler: bool = False) -> int | None:
    """Of an event of Eve's that rests on power levels which only her lost power allowed.

    With a filler those follow on something that has to be fetched too.
    """
    teller = Teller(scene)
    maker = scene.view.state["m.room.power_levels", ""].content["users"]
    path = f"rooms/{scene.room_id}/state/m.room.power_levels"
    for level in (50, 0):
        content = {"users": {**maker, scene.eve: level}, "events": {"m.room.power_levels": 50}}
        status, said = await scene.alice.put(path, content)
        assert status == 200, said
        if level == 50:
            then = await scene.now()
    now = await scene.now()
    member = now.state["m.room.member", scene.eve]
    create = now.state["m.room.create", ""]
    old = then.state["m.room.power_levels", ""]
    between = scene.says(now)
    place = now.with_event(between) if filler else now
    rights = scene.says(
        place, "m.room.power_levels", {**old.content, "ban": 40}, "", auth_events=[create, old, member]
    )
    using = scene.says(now, auth_events=[create, rights, member])
    teller.events[old.event_id] = old
    teller.events[rights.event_id] = rights
    teller.events[using.event_id] = using
    teller.events[between.event_id] = between
    teller.tells_what_is_before()
    if rights_come_first:
        await scene.sends(rights)
        assert await scene.standing(rights) == Standing.REJECTED
    await scene.sends(using)
    return await scene.standing(using)


async def test_what_rests_on_something_rejected_is_rejected(
    make_federated: MakeFederated, make_lying: MakeLying
) -> None:
    scene = await set_the_scene(make_federated, make_lying)
    assert await _standing(scene, rights_come_first=True) == Standing.REJECTED


async def test_it_is_rejected_too_where_that_is_fetched_for_it(
    make_federated: MakeFederated, make_lying: MakeLying
) -> None:
    scene = await set_the_scene(make_federated, make_lying)
    assert await _standing(scene, rights_come_first=False) == Standing.REJECTED


async def test_also_where_what_that_follows_on_is_fetched_as_well(
    make_federated: MakeFederated, make_lying: MakeLying
) -> None:
    scene = await set_the_scene(make_federated, make_lying)
    assert await _standing(scene, rights_come_first=False, filler=True) == Standing.REJECTED
