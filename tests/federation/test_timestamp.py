"""Events next to a time, across servers."""

from __future__ import annotations

from tests.federation.asking import Scene, part, scene
from tests.fixtures.federation import MakeFederated, MakeLying
from tests.fixtures.time import START, FakeClock

__all__ = ["scene"]

DAY = 86_400_000


async def test_the_nearest_event_that_the_server_may_see(
    make_federated: MakeFederated, make_lying: MakeLying
) -> None:
    clock = FakeClock()
    one = await make_federated(clock=clock)
    scene = Scene(one, await one.user("alice"), await make_lying(clock=clock))
    visibility = {"type": "m.room.history_visibility", "content": {"history_visibility": "joined"}}
    room = await scene.room(initial_state=[visibility])
    clock.advance(DAY)
    await scene.alice.send(room, "unseen")
    clock.advance(DAY)
    await scene.eve_joins(room)
    await scene.alice.send(room, "right after the join")
    clock.advance(50 * DAY)
    last = await scene.alice.send(room, "last")

    found = await scene.get(f"timestamp_to_event/{part(room)}", ts=START + 10 * DAY, dir="f")
    assert found == {"event_id": last, "origin_server_ts": START + 52 * DAY}
    found = await scene.get(f"timestamp_to_event/{part(room)}", ts=START + DAY, dir="f")
    assert found["origin_server_ts"] == START + 2 * DAY
    query = {"ts": START + 60 * DAY, "dir": "f"}
    assert (await scene.ask("GET", f"timestamp_to_event/{part(room)}", query=query))[0] == 404
