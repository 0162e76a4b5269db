"""The last events of a room, as servers get them that do not follow it (MSC4370)."""

from __future__ import annotations

from tests.federation.asking import Scene, part, scene

__all__ = ["scene"]

UNSTABLE = "/_matrix/federation/unstable/org.matrix.msc4370/extremities"


async def test_the_extremities_of_a_room(scene: Scene) -> None:
    room = await scene.room()
    assert (await scene.ask("GET", f"{UNSTABLE}/{part(room)}"))[0] == 403
    await scene.eve_joins(room)
    for _ in range(2):
        last = await scene.alice.send(room, "hello")
        assert await scene.ask("GET", f"{UNSTABLE}/{part(room)}") == (200, {"prev_events": [last]})
    status, said = await scene.ask("GET", f"{UNSTABLE}/{part('!unknown:one.example')}")
    assert (status, said["errcode"]) == (404, "M_NOT_FOUND")
