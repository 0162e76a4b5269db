"""Typing, receipts and presence for application services that ask for them (§Pushing ephemeral data)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.appservices.conftest import Bridge, MakeBridge
from tests.fixtures.client import Client


@pytest.fixture
async def curious(make_bridge: MakeBridge) -> Bridge:
    """One that asks for ephemeral data."""
    return await make_bridge(registration={"receive_ephemeral": True})


def told(bridge: Bridge, kind: str, name: str = "ephemeral") -> list[dict[str, Any]]:
    """All events of a type."""
    return [
        event
        for _, body in bridge.appservice.transactions
        for event in body.get(name, [])
        if event["type"] == kind
    ]


async def portal(bridge: Bridge) -> tuple[Client, Client, str]:
    alice, ghost = await bridge.homeserver.user("alice"), await bridge.ghost("_irc_carol")
    room = await alice.create_room(preset="public_chat")
    await ghost.join(room)
    return alice, ghost, room


async def test_who_types(curious: Bridge) -> None:
    alice, _, room = await portal(curious)
    elsewhere = await alice.create_room()
    path = f"typing/{alice.user_id}"
    await alice.ok("PUT", f"rooms/{elsewhere}/{path}", json={"typing": True})
    await alice.ok("PUT", f"rooms/{room}/{path}", json={"typing": True})
    typing = {"type": "m.typing", "room_id": room, "content": {"user_ids": [alice.user_id]}}
    await curious.appservice.until(lambda: told(curious, "m.typing"))
    assert told(curious, "m.typing") == [typing]
    await alice.ok("PUT", f"rooms/{room}/{path}", json={"typing": False})
    await curious.appservice.until(lambda: len(told(curious, "m.typing")) == 2)
    assert told(curious, "m.typing")[1]["content"] == {"user_ids": []}


async def test_who_has_read_what(curious: Bridge) -> None:
    alice, ghost, room = await portal(curious)
    event_id = await ghost.send(room, "hello")
    await alice.ok("POST", f"rooms/{room}/receipt/m.read.private/{event_id}", json={})
    await alice.ok("POST", f"rooms/{room}/receipt/m.read/{event_id}", json={"thread_id": "main"})
    [receipt] = await curious.appservice.until(lambda: told(curious, "m.receipt"))
    assert receipt["room_id"] == room
    [(kind, users)] = receipt["content"][event_id].items()
    assert (kind, users[alice.user_id]["thread_id"]) == ("m.read", "main")
    # Its own users' private ones are its business.
    again = await alice.send(room, "and?")
    await ghost.ok("POST", f"rooms/{room}/receipt/m.read.private/{again}", json={})
    await curious.appservice.until(lambda: len(told(curious, "m.receipt")) == 2)
    assert told(curious, "m.receipt")[1]["content"][again].keys() == {"m.read.private"}


async def test_who_is_there(curious: Bridge) -> None:
    alice, ghost, _ = await portal(curious)
    stranger = await curious.homeserver.user("stranger")
    for somebody in (stranger, alice, ghost):
        path = f"presence/{somebody.user_id}/status"
        await somebody.ok("PUT", path, json={"presence": "online", "status_msg": "hello"})
    await curious.appservice.until(lambda: len(told(curious, "m.presence")) >= 2)
    seen = {event["sender"]: event["content"]["presence"] for event in told(curious, "m.presence")}
    assert seen == {alice.user_id: "online", ghost.user_id: "online"}


async def test_an_older_bridge_finds_it_under_the_older_name(make_bridge: MakeBridge) -> None:
    bridge = await make_bridge(registration={"de.sorunome.msc2409.push_ephemeral": True})
    alice, _, room = await portal(bridge)
    await alice.ok("PUT", f"rooms/{room}/typing/{alice.user_id}", json={"typing": True})
    await bridge.appservice.until(lambda: told(bridge, "m.typing", "de.sorunome.msc2409.ephemeral"))
    assert not told(bridge, "m.typing")


async def test_who_does_not_ask_is_not_told(bridge: Bridge) -> None:
    alice, _, room = await portal(bridge)
    await alice.ok("PUT", f"rooms/{room}/typing/{alice.user_id}", json={"typing": True})
    await alice.send(room, "hello")
    await bridge.appservice.until(bridge.appservice.bodies)
    assert all(body.keys() == {"events"} for _, body in bridge.appservice.transactions)
