"""What relates to an event is redacted with it, where the client asks for that (MSC3912)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fixtures.client import Client


async def related(user: Client, room: str, parent: str, rel_type: str, **more: Any) -> str:
    """An event that relates to another one; its ID."""
    content = {
        "msgtype": "m.text",
        "body": "x",
        "m.relates_to": {"rel_type": rel_type, "event_id": parent} | more,
    }
    return await user.send(room, content, "m.reaction" if rel_type == "m.annotation" else "m.room.message")


async def are_redacted(user: Client, room: str, *events: str) -> None:
    """Returns when they are."""
    left = set(events)

    def seen(reply: dict[str, Any]) -> bool:
        timeline = reply.get("rooms", {}).get("join", {}).get(room, {}).get("timeline", {}).get("events", [])
        left.difference_update(event.get("redacts") for event in timeline)
        return not left

    await user.sync_until(seen)


@pytest.mark.parametrize("name", ["with_rel_types", "org.matrix.msc3912.with_relations"])
async def test_named_relations_go_with_the_event(alice: Client, bob: Client, name: str) -> None:
    room = await alice.create_room(preset="public_chat")
    await bob.join(room)
    parent = await alice.send(room, "hello")
    edit = await related(alice, room, parent, "m.replace")
    reply = await related(bob, room, parent, "m.thread")
    reaction = await related(bob, room, parent, "m.annotation", key="+1")
    await alice.sync()
    await alice.ok("PUT", f"rooms/{room}/redact/{parent}/1", json={name: ["m.thread", "m.replace"]})
    await are_redacted(alice, room, parent, edit, reply)
    assert (await alice.ok("GET", f"rooms/{room}/event/{reaction}"))["content"] != {}
    assert (await alice.ok("GET", f"rooms/{room}/event/{reply}"))["content"] == {}


async def test_a_star_means_all_as_far_as_the_user_may(alice: Client, bob: Client) -> None:
    room = await alice.create_room(preset="public_chat")
    await bob.join(room)
    parent = await bob.send(room, "hello")
    theirs = await related(alice, room, parent, "m.thread")
    own = [await related(bob, room, parent, kind) for kind in ("m.replace", "m.thread")]
    await bob.sync()
    await bob.ok("PUT", f"rooms/{room}/redact/{parent}/1", json={"with_rel_types": ["*"]})
    await are_redacted(bob, room, parent, *own)
    assert (await bob.ok("GET", f"rooms/{room}/event/{theirs}"))["content"] != {}


async def test_without_being_asked_nothing_goes_with_it(alice: Client) -> None:
    room = await alice.create_room()
    parent = await alice.send(room, "hello")
    edit = await related(alice, room, parent, "m.replace")
    await alice.redact(room, parent)
    assert (await alice.ok("GET", f"rooms/{room}/event/{edit}"))["content"] != {}
    status, said = await alice.put(f"rooms/{room}/redact/{parent}/1", {"with_rel_types": "m.thread"})
    assert (status, said["errcode"]) == (400, "M_BAD_JSON")
