"""What other servers send in transactions."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from protocol.events import Event
from protocol.ids import RoomID
from protocol.signing import SigningKey
from services.rooms.receive import inbox
from storage.events import Standing
from tests.client_api.stored import state_of
from tests.federation.scene import Scene, set_the_scene
from tests.federation.stranger import View, view_of_room
from tests.fixtures.federation import MakeFederated, MakeLying

VERSIONS = pytest.mark.parametrize("version", ["1", "5", "10", "12"])


@VERSIONS
async def test_messages_arrive(make_federated: MakeFederated, make_lying: MakeLying, version: str) -> None:
    scene = await set_the_scene(make_federated, make_lying, version)
    since = (await scene.alice.sync())["next_batch"]
    one = scene.says(scene.view)
    two = scene.says(scene.view.with_event(one))
    assert await scene.sends(one, two) == {one.event_id: {}, two.event_id: {}}
    assert await scene.timeline(since) == [one.event_id, two.event_id]


async def test_the_same_transaction_is_worked_off_once(
    make_federated: MakeFederated, make_lying: MakeLying
) -> None:
    scene = await set_the_scene(make_federated, make_lying)
    one = scene.says(scene.view)
    two = scene.says(scene.view)
    assert await scene.sends(one, txn_id="same") == {one.event_id: {}}
    assert await scene.sends(two, txn_id="same") == {one.event_id: {}}
    scene.one.tenant.transactions.forget((scene.stranger.name, "same"))  # as after a restart
    assert await scene.sends(two, txn_id="same") == {one.event_id: {}}
    assert await scene.standing(two) is None


async def test_the_same_transaction_twice_at_once(
    make_federated: MakeFederated, make_lying: MakeLying
) -> None:
    scene = await set_the_scene(make_federated, make_lying)
    since = (await scene.alice.sync())["next_batch"]
    event = scene.says(scene.view)
    answers = await asyncio.gather(*(scene.sends(event, txn_id="same") for _ in range(5)))
    assert answers == [{event.event_id: {}}] * 5
    assert await scene.timeline(since) == [event.event_id]


async def test_a_transaction_is_of_bounded_size_and_of_its_sender(
    make_federated: MakeFederated, make_lying: MakeLying
) -> None:
    scene = await set_the_scene(make_federated, make_lying)
    status, _ = await scene.liar.transaction(scene.one, [{}] * 51)
    assert status == 400
    status, _ = await scene.liar.transaction(scene.one, [], [{}] * 101)
    assert status == 400
    path = "/_matrix/federation/v1/send/other"
    status, said = await scene.liar.request(
        scene.one, "PUT", path, {"origin": "other.example", "origin_server_ts": 1, "pdus": []}
    )
    assert (status, said["errcode"]) == (403, "M_FORBIDDEN")
    status, _ = await scene.liar.request(scene.one, "PUT", path, {"origin": scene.liar.name, "pdus": {}})
    assert status == 400


def _with(event: Event, **changed: Any) -> dict[str, Any]:
    return {**event.json, **changed}


def hostile(scene: Scene) -> dict[str, Any]:
    """A PDU of every kind that is not to be taken, by what is wrong with it."""
    view = scene.view
    stranger = replace(scene.stranger, key=SigningKey.from_seed("ed25519:other", b"o" * 32))
    forged = replace(scene.stranger, key=SigningKey.from_seed(scene.liar.key.name, b"o" * 32))
    elsewhere = View(view.version, RoomID("!elsewhere:example.org"), view.latest, view.state)
    lost = scene.says(view)
    rejected = scene.says(view, "m.room.power_levels", {"users": {scene.eve: 100}}, "")
    message = scene.says(view)
    return {
        "no object": "nonsense",
        "null": None,
        "empty": {},
        "a key that nobody knows": stranger.says(view, scene.eve).json,
        "a wrong signature": forged.says(view, scene.eve).json,
        "no signatures": _with(message, signatures={}),
        "signatures of nonsense": _with(message, signatures={scene.liar.name: {scene.liar.key.name: "%%%"}}),
        "too deep": _with(message, depth=2**53),
        "a float": _with(message, content={"number": 1.5}),
        "huge": _with(message, content={"body": "x" * 70_000}),
        "another's sender": scene.stranger.says(view, scene.alice.user_id).json,
        "another room": scene.stranger.says(elsewhere, scene.eve).json,
        "no room": {k: v for k, v in message.json.items() if k != "room_id"},
        "a number as room": _with(message, room_id=5),
        "a NUL in the room": _with(message, room_id="!a\0b:example.org"),
        "unknown auth events": scene.says(
            view, auth_events=[*[view.state[key] for key in view.state if key[0] == "m.room.create"], lost]
        ).json,
        "unknown prev events": scene.says(view.with_event(lost)).json,
        "no prev events": scene.says(view, prev_events=[]).json,
        "21 prev events": scene.says(view, prev_events=view.latest * 21).json,
        "a power grab": rejected.json,
        "on a power grab": scene.says(view.with_event(rejected), "m.room.topic", {"topic": "mine"}, "").json,
        "surrogates": _with(message, content={"body": "\ud800"}),
        "a create event": scene.says(
            view, "m.room.create", {"room_version": "11"}, "", prev_events=[], auth_events=[]
        ).json,
    }


async def test_a_bad_pdu_costs_only_itself(make_federated: MakeFederated, make_lying: MakeLying) -> None:
    scene = await set_the_scene(make_federated, make_lying)
    bad = hostile(scene)
    bad.pop("surrogates")  # no JSON that a request could be signed over
    since = (await scene.alice.sync())["next_batch"]
    state = await state_of(scene.one, scene.room_id)
    good: list[Event] = []
    pdus: list[Any] = []
    view = scene.view
    for pdu in bad.values():
        event = scene.says(view)
        view = view.with_event(event)
        good.append(event)
        pdus += [event.json, pdu]
    status, said = await scene.liar.transaction(scene.one, pdus)
    assert status == 200, said
    assert [said["pdus"][event.event_id] for event in good] == [{}] * len(good)
    assert await scene.timeline(since) == [event.event_id for event in good][-10:]
    assert await state_of(scene.one, scene.room_id) == state
    async with scene.one.tenant.database.read() as tx:
        assert await tx.fetchval("SELECT count(*) FROM inbound_pdus") == 0


@pytest.mark.parametrize("what", ["a wrong signature", "a key that nobody knows", "another's sender"])
async def test_a_dropped_pdu_is_named_with_its_error(
    make_federated: MakeFederated, make_lying: MakeLying, what: str
) -> None:
    scene = await set_the_scene(make_federated, make_lying)
    status, said = await scene.liar.transaction(scene.one, [hostile(scene)[what]])
    assert status == 200
    assert [list(outcome) for outcome in said["pdus"].values()] == [["error"]]


async def test_a_wrong_content_hash_leaves_the_redacted_event(
    make_federated: MakeFederated, make_lying: MakeLying
) -> None:
    scene = await set_the_scene(make_federated, make_lying)
    event = scene.says(scene.view)
    status, said = await scene.liar.transaction(scene.one, [_with(event, content={"body": "forged"})])
    assert (status, said["pdus"]) == (200, {event.event_id: {}})
    shown = await scene.alice.ok("GET", f"rooms/{scene.room_id}/event/{event.event_id}")
    assert shown["content"] == {}


async def test_a_slow_room_holds_up_neither_the_sender_nor_others(
    make_federated: MakeFederated, make_lying: MakeLying, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox, "QUICK", 0.2)
    scene = await set_the_scene(make_federated, make_lying)
    release = asyncio.Event()
    lost = scene.says(scene.view)

    async def slowly(_: object) -> dict[str, Any]:
        await release.wait()
        return {"events": [lost.json]}

    scene.liar.on("POST", "/_matrix/federation/v1/get_missing_events", slowly)
    late = scene.says(scene.view.with_event(lost))
    assert await scene.sends(late) == {late.event_id: {}}
    assert await scene.standing(late) is None
    async with scene.one.tenant.database.read() as tx:
        kept = [row["event_id"] for row in await tx.fetch("SELECT event_id FROM inbound_pdus")]
    assert kept == [late.event_id]
    elsewhere = await another_room(scene)
    message = scene.says(elsewhere)
    assert await scene.sends(message) == {message.event_id: {}}
    shown = await scene.alice.ok("GET", f"rooms/{elsewhere.room_id}/event/{message.event_id}")
    assert shown["event_id"] == message.event_id
    since = (await scene.alice.sync())["next_batch"]
    release.set()
    await scene.alice.sync_until(lambda news: scene.room_id in news["rooms"]["join"])
    await _emptied(scene)
    assert await scene.standing(late) == Standing.TIMELINE
    assert await scene.timeline(since) == [lost.event_id, late.event_id]


async def test_what_was_taken_over_survives_a_restart(
    make_federated: MakeFederated, make_lying: MakeLying, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox, "QUICK", 0.2)
    scene = await set_the_scene(make_federated, make_lying)
    never = asyncio.Event()
    lost = scene.says(scene.view)

    async def never_again(_: object) -> dict[str, Any]:
        await never.wait()
        return {}

    scene.liar.on("POST", "/_matrix/federation/v1/get_missing_events", never_again)
    late = scene.says(scene.view.with_event(lost))
    assert await scene.sends(late) == {late.event_id: {}}
    await scene.one.tenant.inbound.stop()  # the process dies
    never.set()
    scene.liar.on("POST", "/_matrix/federation/v1/get_missing_events", lambda _: {"events": [lost.json]})
    assert await inbox.take_up_again(scene.one.tenant, scene.one.tenant.clock.now()) == 1
    await _emptied(scene)
    assert await scene.standing(late) == Standing.TIMELINE


async def another_room(scene: Scene) -> View:
    """Another room with Alice and Eve."""
    room_id = await scene.alice.create_room(preset="public_chat")
    view = await view_of_room(scene.one.tenant, room_id)
    join = scene.stranger.joins(view, scene.eve)
    assert await scene.sends(join) == {join.event_id: {}}
    return view.with_event(join)


async def _emptied(scene: Scene) -> None:
    """Returns when nothing that was taken over waits any more."""
    async with asyncio.timeout(60):
        while True:
            async with scene.one.tenant.database.read() as tx:
                if not await tx.fetchval("SELECT count(*) FROM inbound_pdus"):
                    return
            await asyncio.sleep(0.02)
