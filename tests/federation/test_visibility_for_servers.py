"""What another server may see of a room's history: in full what any of its users could see, the rest redacted."""

from __future__ import annotations

from typing import Any

import pytest

from services.rooms.receive.place import receive_event
from tests.federation.asking import Scene, part, scene

__all__ = ["scene"]


async def room_of(scene: Scene, visibility: str, **more: Any) -> str:
    """A room with this history visibility from its beginning."""
    event = {"type": "m.room.history_visibility", "content": {"history_visibility": visibility}}
    return await scene.room(initial_state=[event], **more)


async def seen(scene: Scene, event_id: str) -> bool:
    """Does the server get the event's content?"""
    (pdu,) = (await scene.get(f"event/{part(event_id)}"))["pdus"]
    assert "body" in pdu["content"] or pdu["content"] == {}
    return "body" in pdu["content"]


@pytest.mark.parametrize(
    ("visibility", "before", "invited"),
    [
        ("shared", True, True),
        ("world_readable", True, True),
        ("invited", False, True),
        ("joined", False, False),
    ],
)
async def test_messages_from_before_the_join(
    scene: Scene, visibility: str, before: bool, invited: bool
) -> None:
    room = await room_of(scene, visibility)
    unseen = await scene.alice.send(room, "before")
    view = await scene.view(room)
    content = {"membership": "invite"}
    invite = scene.stranger.says(view, scene.alice.user_id, "m.room.member", content, scene.eve)
    await receive_event(scene.one.tenant, invite, scene.stranger.name)
    while_invited = await scene.alice.send(room, "while invited")
    await scene.eve_joins(room)
    after = await scene.alice.send(room, "after")

    assert await seen(scene, unseen) is before
    assert await seen(scene, while_invited) is invited
    assert await seen(scene, after)
    page = (await scene.get(f"backfill/{part(room)}", v=after, limit=5))["pdus"]
    messages = [pdu["content"].get("body") for pdu in page if pdu["type"] == "m.room.message"]
    assert messages == ["after", "while invited" if invited else None, "before" if before else None]


async def test_redacted_events_keep_what_their_ids_are_made_of(scene: Scene) -> None:
    room = await room_of(scene, "joined")
    event_id = await scene.alice.send(room, "before")
    await scene.eve_joins(room)
    after = await scene.alice.send(room, "after")
    missing = {"earliest_events": [], "latest_events": [after], "limit": 20}
    _, reply = await scene.ask("POST", f"get_missing_events/{part(room)}", missing)
    pdu = next(pdu for pdu in reply["events"] if pdu["type"] == "m.room.message")
    assert pdu["content"] == {}
    assert pdu["signatures"]
    assert await seen(scene, event_id) is False


async def test_state_is_never_hidden_from_the_state(scene: Scene) -> None:
    room = await room_of(scene, "joined", name="a name")
    await scene.eve_joins(room)
    event_id = await scene.alice.send(room, "hello")
    state = (await scene.get(f"state/{part(room)}", event_id=event_id))["pdus"]
    assert [pdu["content"] for pdu in state if pdu["type"] == "m.room.name"] == [{"name": "a name"}]


async def test_a_server_that_has_left_sees_no_more(scene: Scene) -> None:
    room = await scene.room()
    await scene.eve_joins(room)
    event_id = await scene.alice.send(room, "hello")
    leave = scene.stranger.says(
        await scene.view(room), scene.eve, "m.room.member", {"membership": "leave"}, scene.eve
    )
    await receive_event(scene.one.tenant, leave, scene.stranger.name)
    assert (await scene.ask("GET", f"event/{part(event_id)}"))[0] == 404
    assert (await scene.ask("GET", f"backfill/{part(room)}", query={"v": event_id, "limit": 1}))[0] == 403


async def test_anybody_sees_single_events_of_a_world_readable_room(scene: Scene) -> None:
    room = await room_of(scene, "world_readable")
    assert await seen(scene, await scene.alice.send(room, "hello"))


async def test_how_many_queries_a_hidden_history_takes(scene: Scene) -> None:
    room = await room_of(scene, "joined")
    for number in range(40):
        await scene.alice.send(room, str(number))
    await scene.eve_joins(room)
    last = await scene.alice.send(room, "last")
    await seen(scene, last)
    before = scene.one.tenant.database.statements_run
    await scene.get(f"backfill/{part(room)}", v=last, limit=40)
    assert scene.one.tenant.database.statements_run - before < 14


async def test_messages_of_those_who_want_to_be_forgotten(scene: Scene) -> None:
    room = await scene.room()
    await scene.eve_joins(room)
    bob = await scene.one.user("bob")
    await bob.join(room)
    event_id = await bob.send(room, "hello")
    assert await seen(scene, event_id)
    auth = {"type": "m.login.password", "identifier": {"type": "m.id.user", "user": bob.user_id}}
    body: dict[str, Any] = {"erase": True}
    _, said = await bob.post("account/deactivate", body)
    body["auth"] = auth | {"password": bob.password, "session": said["session"]}
    assert (await bob.post("account/deactivate", body))[0] == 200
    assert not await seen(scene, event_id)
