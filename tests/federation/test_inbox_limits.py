"""What waits to be placed has a limit in each room: the oldest are dropped, and asked for once what follows them is placed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from protocol.events import Event
from services.rooms.receive import inbox
from services.rooms.receive.observations import TooManyWait, TooMuchWaits
from tests.federation.scene import Scene, set_the_scene
from tests.federation.stranger import View
from tests.federation.telling import Teller
from tests.federation.test_transactions import another_room
from tests.fixtures.federation import MakeFederated, MakeLying
from tests.fixtures.lying_server import Asked, Script

MISSING = "/_matrix/federation/v1/get_missing_events"


async def waiting(scene: Scene, room_id: str) -> list[str]:
    """The IDs of the events of the room that wait, the oldest first."""
    async with scene.one.tenant.database.read() as tx:
        rows = await tx.fetch("SELECT event_id FROM inbound_pdus WHERE room_id = $1 ORDER BY number", room_id)
    return [row["event_id"] for row in rows]


async def late_events(scene: Scene, teller: Teller, view: View, number: int, **more: str) -> list[Event]:
    """Events behind one that is not sent, each sent by itself."""
    view = teller.knows(view, scene.says(view))
    events = []
    for _ in range(number):
        content = {"msgtype": "m.text", "body": "late", **more}
        events.append(scene.says(view, "m.room.message", content))
        view = teller.knows(view, events[-1])
        assert await scene.sends(events[-1]) == {events[-1].event_id: {}}
    return events


@pytest.fixture
async def never(make_lying: MakeLying) -> AsyncIterator[Script]:
    """No answer, as long as the test lasts."""
    end = asyncio.Event()

    async def answer(_: Asked) -> dict[str, str]:
        await end.wait()
        return {}

    yield answer
    end.set()


async def test_the_newest_stay_and_the_others_are_asked_for(
    make_federated: MakeFederated, make_lying: MakeLying, monkeypatch: pytest.MonkeyPatch, never: Script
) -> None:
    monkeypatch.setattr(inbox, "MAX_KEPT", 3)
    scene = await set_the_scene(make_federated, make_lying, federation={"timeout": 60_000})
    monkeypatch.setattr(inbox, "QUICK", 0.05)  # senders do not wait for long
    scene.liar.on("POST", MISSING, never)
    teller, view = Teller(scene), scene.view
    events = await late_events(scene, teller, view, 8)
    assert await waiting(scene, scene.room_id) == [event.event_id for event in events[-3:]]
    dropped = [seen for seen in scene.one.observed if isinstance(seen, TooManyWait)]
    assert sum(seen.dropped for seen in dropped) == 5

    await scene.one.tenant.inbound.stop()  # the process dies
    teller.tells_what_is_before()
    assert await inbox.take_up_again(scene.one.tenant, scene.one.tenant.clock.now()) == 3
    async with asyncio.timeout(60):
        while await waiting(scene, scene.room_id):
            await asyncio.sleep(0.02)
    assert [await scene.standing(event) for event in events] == [0] * 8


async def test_large_events_are_fewer(
    make_federated: MakeFederated, make_lying: MakeLying, monkeypatch: pytest.MonkeyPatch, never: Script
) -> None:
    monkeypatch.setattr(inbox, "MAX_KEPT_BYTES", 100_000)
    scene = await set_the_scene(make_federated, make_lying, federation={"timeout": 60_000})
    monkeypatch.setattr(inbox, "QUICK", 0.05)  # senders do not wait for long
    scene.liar.on("POST", MISSING, never)
    events = await late_events(scene, Teller(scene), scene.view, 5, padding="x" * 40_000)
    assert await waiting(scene, scene.room_id) == [event.event_id for event in events[-2:]]


async def test_in_all_rooms_together_whoever_has_sent_most_loses_first(
    make_federated: MakeFederated, make_lying: MakeLying, monkeypatch: pytest.MonkeyPatch, never: Script
) -> None:
    most = 250_000
    federation = {"timeout": 600_000, "max_waiting": most}
    scene = await set_the_scene(make_federated, make_lying, federation=federation)
    other, rooms = await make_lying(), [scene.view, *[await another_room(scene) for _ in range(3)]]
    monkeypatch.setattr(inbox, "QUICK", 0.05)  # senders do not wait for long
    for server in (scene.liar, other):
        server.on("POST", MISSING, never)
    teller = Teller(scene)
    start = teller.knows(rooms[0], scene.says(rooms[0]))
    first = scene.says(start, "m.room.message", {"msgtype": "m.text", "body": "of another server"})
    teller.knows(start, first)
    assert (await other.transaction(scene.one, [first.json]))[0] == 200
    late = [await late_events(scene, teller, view, 4, padding="x" * 40_000) for view in rooms]

    held = [event_id for view in rooms for event_id in await waiting(scene, view.room_id)]
    assert first.event_id in held  # though it is the oldest of all
    assert 0 < len(held) * 40_000 <= most
    assert late[-1][-1].event_id in held
    dropped = [seen for seen in scene.one.observed if isinstance(seen, TooMuchWaits)]
    assert sum(seen.dropped for seen in dropped) == 17 - len(held)
    assert {seen.server for seen in dropped} == {scene.liar.name}

    await scene.one.tenant.inbound.stop()  # the process dies
    teller.tells_what_is_before()
    other.on("POST", MISSING, lambda _: (404, {"errcode": "M_NOT_FOUND", "error": "nothing"}))
    assert await inbox.take_up_again(scene.one.tenant, scene.one.tenant.clock.now()) == len(held)
    async with asyncio.timeout(60):
        while any([await waiting(scene, view.room_id) for view in rooms]):
            await asyncio.sleep(0.02)
    standing = await standings(scene, late[-1])
    assert standing == [0] * len(late[-1])  # what was dropped was fetched with what follows on it


async def standings(scene: Scene, events: list[Event]) -> list[int]:
    """The standings of those of the events that are here."""
    async with scene.one.tenant.database.read() as tx:
        rows = await tx.fetch(
            "SELECT standing FROM events WHERE event_id = ANY($1::text[])", [e.event_id for e in events]
        )
    return [row["standing"] for row in rows]


async def test_a_room_in_which_much_waits_does_not_keep_others_waiting(
    make_federated: MakeFederated, make_lying: MakeLying, monkeypatch: pytest.MonkeyPatch, never: Script
) -> None:
    monkeypatch.setattr(inbox, "_AT_ONCE", 2)
    scene = await set_the_scene(make_federated, make_lying, federation={"timeout": 60_000})
    elsewhere = await another_room(scene)
    monkeypatch.setattr(inbox, "QUICK", 0.05)  # senders do not wait for long
    scene.liar.on("POST", MISSING, never)
    many = await late_events(scene, Teller(scene), scene.view, 5)
    teller = Teller(scene)
    (other,) = await late_events(scene, teller, elsewhere, 1)

    await scene.one.tenant.inbound.stop()  # the process dies
    teller.tells_what_is_before()
    assert await inbox.take_up_again(scene.one.tenant, scene.one.tenant.clock.now()) == 3
    async with asyncio.timeout(60):
        while await waiting(scene, elsewhere.room_id):
            await asyncio.sleep(0.02)
    assert (await scene.alice.get(f"rooms/{elsewhere.room_id}/event/{other.event_id}"))[0] == 200
    assert len(many) == 5
