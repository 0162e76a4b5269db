"""Events next to a time, across servers."""

from __future__ import annotations

from typing import Any

import pytest

from tests.federation.asking import Scene, part, scene
from tests.federation.plays import join_through
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


async def test_a_client_jumps_to_before_its_server_came(make_federated: MakeFederated) -> None:
    clock = FakeClock()
    one, two = await make_federated(clock=clock), await make_federated(clock=clock)
    alice, bob = await one.user("alice"), await two.user("bob")
    room = await alice.create_room(preset="public_chat", room_version="11")
    sent = []
    for number in range(5):
        clock.advance(DAY)
        sent.append((await alice.send(room, str(number)), clock.now()))
    clock.advance(DAY)
    await join_through(bob, room, one)

    path = f"/_matrix/client/v1/rooms/{part(room)}/timestamp_to_event"
    for event_id, at in reversed(sent):
        for direction in ("f", "b"):
            found = await bob.ok("GET", path, params={"ts": at, "dir": direction})
            assert found == {"event_id": event_id, "origin_server_ts": at}
    context = await bob.ok("GET", f"rooms/{part(room)}/context/{part(sent[2][0])}?limit=2")
    assert context["event"]["content"]["body"] == "2"


ASKED = "/_matrix/federation/v1/timestamp_to_event"
GAP = """
    WITH child AS (UPDATE events SET gap = position - 1 WHERE event_id = $2)
    INSERT INTO backward_extremities (room_id, event_id, child) VALUES ($1, '$missing', $2)
"""


@pytest.mark.parametrize(
    "said",
    [
        (404, {"errcode": "M_NOT_FOUND", "error": "no"}),
        {"event_id": "$made:up", "origin_server_ts": 0},
        {"event_id": "$made:up", "origin_server_ts": 2**51},
        {"event_id": 7, "origin_server_ts": "x"},
        (500, b"nonsense"),
    ],
)
async def test_what_another_server_says_and_does_not_have_does_not_count(scene: Scene, said: Any) -> None:
    room = await scene.room()
    join = await scene.eve_joins(room)
    async with scene.one.tenant.database.transaction() as tx:
        await tx.execute(GAP, room, join)
    scene.liar.on("GET", ASKED, lambda _: said)
    path = f"/_matrix/client/v1/rooms/{part(room)}/timestamp_to_event"
    last = await scene.alice.send(room, "hello")
    assert (await scene.alice.ok("GET", path, params={"ts": 2**52, "dir": "b"}))["event_id"] == last
    assert scene.liar.times_asked(ASKED) == 0  # it does not stand beside the gap
    assert (await scene.alice.ok("GET", path, params={"ts": 0, "dir": "f"}))["event_id"] == join
    assert scene.liar.times_asked(ASKED) == 1
