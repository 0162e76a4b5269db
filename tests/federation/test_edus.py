"""News of other servers' users that are no events."""

from __future__ import annotations

from typing import Any

from tests.federation.scene import Scene, set_the_scene
from tests.fixtures.federation import MakeFederated, MakeLying


async def tells(scene: Scene, edu_type: str, content: Any) -> None:
    """Sends one EDU, which is taken whatever is in it."""
    status, said = await scene.liar.transaction(scene.one, [], [{"edu_type": edu_type, "content": content}])
    assert (status, said) == (200, {"pdus": {}})


def ephemeral(news: dict[str, Any], scene: Scene, kind: str) -> list[dict[str, Any]]:
    """The contents of the room's ephemeral events of a kind."""
    room = news.get("rooms", {}).get("join", {}).get(scene.room_id, {})
    return [e["content"] for e in room.get("ephemeral", {}).get("events", []) if e["type"] == kind]


async def test_typing(make_federated: MakeFederated, make_lying: MakeLying) -> None:
    scene = await set_the_scene(make_federated, make_lying)
    since = (await scene.alice.sync())["next_batch"]
    await tells(scene, "m.typing", {"room_id": scene.room_id, "user_id": scene.eve, "typing": True})
    news = await scene.alice.sync(since=since)
    assert ephemeral(news, scene, "m.typing") == [{"user_ids": [scene.eve]}]
    await tells(scene, "m.typing", {"room_id": scene.room_id, "user_id": scene.eve, "typing": False})
    news = await scene.alice.sync(since=news["next_batch"])
    assert ephemeral(news, scene, "m.typing") == [{"user_ids": []}]


async def test_a_server_tells_of_its_own_users_in_their_rooms_only(
    make_federated: MakeFederated, make_lying: MakeLying
) -> None:
    scene = await set_the_scene(make_federated, make_lying)
    stranger = scene.stranger.user("stranger")  # is not in the room
    event_id = await scene.alice.send(scene.room_id, "hello")
    since = (await scene.alice.sync())["next_batch"]
    for user in (scene.alice.user_id, stranger, "@eve:elsewhere.example", "nonsense", None):
        await tells(scene, "m.typing", {"room_id": scene.room_id, "user_id": user, "typing": True})
        receipt = {"event_ids": [event_id], "data": {"ts": 1}}
        await tells(scene, "m.receipt", {scene.room_id: {"m.read": {str(user): receipt}}})
        await tells(scene, "m.presence", {"push": [{"user_id": user, "presence": "online"}]})
    news = await scene.alice.sync(since=since)
    assert ephemeral(news, scene, "m.typing") == []
    assert ephemeral(news, scene, "m.receipt") == []
    assert not [
        event
        for event in news.get("presence", {}).get("events", [])
        if event["sender"] != scene.alice.user_id
    ]


async def test_receipts(make_federated: MakeFederated, make_lying: MakeLying) -> None:
    scene = await set_the_scene(make_federated, make_lying)
    first = await scene.alice.send(scene.room_id, "one")
    second = await scene.alice.send(scene.room_id, "two")
    since = (await scene.alice.sync())["next_batch"]
    receipt = {"event_ids": [second], "data": {"ts": 1234}}
    await tells(scene, "m.receipt", {scene.room_id: {"m.read": {scene.eve: receipt}}})
    news = await scene.alice.sync(since=since)
    assert ephemeral(news, scene, "m.receipt") == [{second: {"m.read": {scene.eve: {"ts": 1234}}}}]
    # None that go backwards, no private ones, none for events that are not there.
    for kind, event_id in (("m.read", first), ("m.read.private", second), ("m.read", "$nowhere")):
        receipt = {"event_ids": [event_id], "data": {"ts": 5}}
        await tells(scene, "m.receipt", {scene.room_id: {kind: {scene.eve: receipt}}})
    assert ephemeral(await scene.alice.sync(since=news["next_batch"]), scene, "m.receipt") == []


async def test_a_receipt_for_an_event_of_the_same_transaction(
    make_federated: MakeFederated, make_lying: MakeLying
) -> None:
    scene = await set_the_scene(make_federated, make_lying)
    since = (await scene.alice.sync())["next_batch"]
    event = scene.says(scene.view)
    receipt = {"event_ids": [event.event_id], "data": {"ts": 7, "thread_id": "main"}}
    edu = {"edu_type": "m.receipt", "content": {scene.room_id: {"m.read": {scene.eve: receipt}}}}
    status, _ = await scene.liar.transaction(scene.one, [event.json], [edu])
    assert status == 200
    shown = ephemeral(await scene.alice.sync(since=since), scene, "m.receipt")
    assert shown == [{event.event_id: {"m.read": {scene.eve: {"ts": 7, "thread_id": "main"}}}}]


async def test_presence(make_federated: MakeFederated, make_lying: MakeLying) -> None:
    scene = await set_the_scene(make_federated, make_lying)
    update = {
        "user_id": scene.eve,
        "presence": "online",
        "last_active_ago": 10,
        "currently_active": True,
        "status_msg": "in the garden",
    }
    await tells(scene, "m.presence", {"push": [None, {"user_id": 5}, update]})
    shown = await scene.alice.ok("GET", f"presence/{scene.eve}/status")
    assert (shown["presence"], shown["status_msg"]) == ("online", "in the garden")
    await tells(scene, "m.presence", {"push": [{"user_id": scene.eve, "presence": "dancing"}]})
    assert (await scene.alice.ok("GET", f"presence/{scene.eve}/status"))["presence"] == "online"


async def test_to_device_messages_come_once(make_federated: MakeFederated, make_lying: MakeLying) -> None:
    scene = await set_the_scene(make_federated, make_lying)
    content = {
        "sender": scene.eve,
        "type": "m.test",
        "message_id": "1",
        "messages": {scene.alice.user_id: {"*": {"word": "psst"}}},
    }
    await tells(scene, "m.direct_to_device", content)
    await tells(scene, "m.direct_to_device", content)
    events = (await scene.alice.sync())["to_device"]["events"]
    assert [(event["sender"], event["content"]) for event in events] == [(scene.eve, {"word": "psst"})]


async def test_nonsense_is_passed_over(make_federated: MakeFederated, make_lying: MakeLying) -> None:
    scene = await set_the_scene(make_federated, make_lying)
    types = (
        "m.typing",
        "m.receipt",
        "m.presence",
        "m.direct_to_device",
        "m.device_list_update",
        "m.signing_key_update",
        "org.example.unknown",
        5,
    )
    contents = (
        {},
        [],
        None,
        {"room_id": 5, "user_id": {}, "push": 3, "messages": []},
        {scene.room_id: {"m.read": {scene.eve: {"event_ids": "x", "data": []}}}},
        {scene.room_id: {"m.read": []}},
        {"!\0": {"m.read": {scene.eve: {"event_ids": ["$\0"], "data": {"ts": 10**30}}}}},
        {"room_id": "!\0", "user_id": scene.eve, "typing": "yes"},
        {"push": [{"user_id": scene.eve, "presence": [], "last_active_ago": -1}]},
    )
    edus: list[Any] = [{"edu_type": kind, "content": content} for kind in types for content in contents]
    edus += [None, "edu", {}, {"edu_type": "m.typing"}]
    status, said = await scene.liar.transaction(scene.one, [], edus[:100])
    assert (status, said) == (200, {"pdus": {}})


async def test_a_server_that_is_shut_out_is_not_listened_to(
    make_federated: MakeFederated, make_lying: MakeLying
) -> None:
    scene = await set_the_scene(make_federated, make_lying, by_address=True)
    event_id = await scene.alice.send(scene.room_id, "hello")
    acl = {"allow": ["*"], "deny": ["127.0.0.*"], "allow_ip_literals": True}
    await scene.alice.set_state(scene.room_id, "m.room.server_acl", acl)
    since = (await scene.alice.sync())["next_batch"]
    await tells(scene, "m.typing", {"room_id": scene.room_id, "user_id": scene.eve, "typing": True})
    receipt = {"event_ids": [event_id], "data": {"ts": 1}}
    await tells(scene, "m.receipt", {scene.room_id: {"m.read": {scene.eve: receipt}}})
    news = await scene.alice.sync(since=since)
    assert ephemeral(news, scene, "m.typing") == []
    assert ephemeral(news, scene, "m.receipt") == []
