"""History that is fetched when a reader comes to where the homeserver's own ends."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from services.rooms import backfill
from storage.events import Standing
from tests.client_api.stored import events_of, path
from tests.federation.plays import join_through, public_room
from tests.federation.scene import Scene, set_the_scene
from tests.federation.telling import FEDERATION, Teller
from tests.fixtures.client import Client
from tests.fixtures.federation import MakeFederated, MakeLying

VERSIONS = pytest.mark.parametrize("version", ["1", "10", "12"])


async def read_back(client: Client, room_id: str, limit: int = 20) -> list[dict[str, Any]]:
    """All events of the room that the client can read, the newest first."""
    events: list[dict[str, Any]] = []
    start = ""
    for _ in range(50):
        page = await client.ok("GET", f"{path(room_id, 'messages')}?dir=b&limit={limit}{start}")
        events += page["chunk"]
        if "end" not in page:
            return events
        start = f"&from={page['end']}"
    raise AssertionError("there is no end")


@VERSIONS
async def test_a_newcomer_reads_what_was_before(make_federated: MakeFederated, version: str) -> None:
    one, two = await make_federated(), await make_federated()
    alice, bob = await one.user("alice"), await two.user("bob")
    room_id = await public_room(alice, version)
    for number in range(130):
        await alice.send(room_id, f"message {number}")
    await alice.set_state(room_id, "m.room.topic", {"topic": "late"})
    await join_through(bob, room_id, one)
    events = await read_back(bob, room_id)
    bodies = [event["content"]["body"] for event in events if event["type"] == "m.room.message"]
    assert bodies == [f"message {number}" for number in reversed(range(130))]
    assert events[-1]["type"] == "m.room.create"
    assert len({event["event_id"] for event in events}) == len(events)
    assert [event["event_id"] for event in events] == [
        event["event_id"] for event in await read_back(alice, room_id)
    ]


async def test_history_that_newcomers_may_not_see_is_not_shown(make_federated: MakeFederated) -> None:
    one, two = await make_federated(), await make_federated()
    alice, bob = await one.user("alice"), await two.user("bob")
    room_id = await public_room(alice)
    await alice.send(room_id, "seen")
    await alice.set_state(room_id, "m.room.history_visibility", {"history_visibility": "joined"})
    await alice.send(room_id, "hidden")
    await join_through(bob, room_id, one)
    bodies = [event["content"].get("body") for event in await read_back(bob, room_id)]
    assert "seen" in bodies
    assert "hidden" not in bodies


async def scene_with_gap(
    make_federated: MakeFederated, make_lying: MakeLying
) -> tuple[Scene, Teller, Any, Any]:
    """A scene with an event that follows on one which is missing."""
    scene = await set_the_scene(make_federated, make_lying)
    teller = Teller(scene)
    lost = scene.says(scene.view)
    view = teller.knows(scene.view, lost)
    last = scene.says(view)
    teller.knows(view, last)
    teller.between()
    await scene.sends(last)
    return scene, teller, lost, last


async def test_only_what_was_asked_for_is_taken(make_federated: MakeFederated, make_lying: MakeLying) -> None:
    scene, teller, lost, _ = await scene_with_gap(make_federated, make_lying)
    stray = scene.says(scene.view)
    bad = {**scene.says(scene.view).json, "depth": -5}
    teller.history(lost, stray)
    script = teller.scene.liar.scripts[0][2]
    scene.liar.on(
        "GET",
        f"{FEDERATION}/backfill/",
        lambda asked: {**script(asked), "pdus": [bad, None, *script(asked)["pdus"]]},
    )
    events = [event["event_id"] for event in await read_back(scene.alice, scene.room_id)]
    assert lost.event_id in events
    assert stray.event_id not in events
    assert await scene.standing(lost) == Standing.HISTORY


async def test_when_nobody_answers_the_reader_gets_what_there_is(
    make_federated: MakeFederated, make_lying: MakeLying, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backfill, "PATIENCE", 0.3)
    scene, _, lost, last = await scene_with_gap(make_federated, make_lying)
    never = asyncio.Event()

    async def silent(_: object) -> None:
        await never.wait()

    scene.liar.on("GET", f"{FEDERATION}/backfill/", silent)
    pages = [
        await scene.alice.ok("GET", f"{path(scene.room_id, 'messages')}?dir=b&limit=100") for _ in range(2)
    ]
    never.set()
    for page in pages:
        shown = [event["event_id"] for event in page["chunk"]]
        assert last.event_id in shown
        assert lost.event_id not in shown
        assert "end" in page  # there is more, and it may be had later
    assert scene.liar.times_asked(f"{FEDERATION}/backfill/") == 1


async def test_an_event_of_the_past_does_not_change_what_is_now(
    make_federated: MakeFederated, make_lying: MakeLying
) -> None:
    scene, teller, lost, last = await scene_with_gap(make_federated, make_lying)
    teller.history(lost)
    before = await scene.now()
    await read_back(scene.alice, scene.room_id)
    after = await scene.now()
    assert after.state == before.state or {k: e.event_id for k, e in after.state.items()} == {
        k: e.event_id for k, e in before.state.items()
    }
    assert [event.event_id for event in after.latest] == [event.event_id for event in before.latest]
    positions = {row["event_id"]: row["position"] for row in await events_of(scene.one, scene.room_id)}
    (join,) = scene.view.latest
    assert positions[join.event_id] < positions[lost.event_id] < positions[last.event_id]
