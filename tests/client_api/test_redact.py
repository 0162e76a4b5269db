"""Redacting: who may, what is left, and what it undoes."""

from __future__ import annotations

from typing import Any

import pytest

from tests.client_api.stored import events_of, path, state_of
from tests.fixtures.client import Client
from tests.fixtures.homeserver import Homeserver


async def event(homeserver: Homeserver, room_id: str, event_id: str) -> dict[str, Any]:
    """One stored event."""
    return next(e for e in await events_of(homeserver, room_id) if e["event_id"] == event_id)


async def refused(client: Client, room_id: str, target: str) -> tuple[int, str]:
    """Status and error code of a redaction."""
    status, said = await client.put(path(room_id, "redact", target, "t"), {})
    return status, said.get("errcode", "")


@pytest.mark.parametrize(("version", "in_content"), [("1", False), ("10", False), ("11", True), ("12", True)])
async def test_what_is_left(homeserver: Homeserver, alice: Client, version: str, in_content: bool) -> None:
    room_id = await alice.create_room(room_version=version)
    message = await alice.send(room_id, "regretted")

    redaction = await alice.redact(room_id, message, "typo")

    left = await event(homeserver, room_id, message)
    assert left["json"]["content"] == {}
    assert left["redacted_by"] == redaction
    said = (await event(homeserver, room_id, redaction))["json"]
    assert said["content"].get("redacts", said.get("redacts")) == message
    assert ("redacts" in said["content"]) is in_content
    assert said["content"]["reason"] == "typo"


@pytest.mark.parametrize("version", ["10", "12"])
async def test_a_redaction_may_be_sent_like_a_message(
    homeserver: Homeserver, alice: Client, version: str
) -> None:
    room_id = await alice.create_room(room_version=version)
    message = await alice.send(room_id, "regretted")

    await alice.send(room_id, {"redacts": message}, "m.room.redaction")

    assert (await event(homeserver, room_id, message))["json"]["content"] == {}
    for content, errcode in (
        ({}, "M_MISSING_PARAM"),
        ({"redacts": 1}, "M_BAD_JSON"),
        ({"redacts": "x"}, "M_INVALID_PARAM"),
    ):
        status, said = await alice.put(path(room_id, "send", "m.room.redaction", errcode), content)
        assert (status, said["errcode"]) == (400, errcode)


async def test_a_retry_is_the_same_redaction(alice: Client) -> None:
    room_id = await alice.create_room()
    message = await alice.send(room_id, "regretted")
    url = path(room_id, "redact", message, "once")

    assert await alice.ok("PUT", url, json={}) == await alice.ok("PUT", url, json={})


async def test_who_may(homeserver: Homeserver, alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(preset="public_chat")
    await bob.join(room_id)
    of_alice, of_bob, other_of_bob = (
        await alice.send(room_id, "a"),
        await bob.send(room_id, "b"),
        await bob.send(room_id, "c"),
    )

    assert await refused(bob, room_id, of_alice) == (403, "M_FORBIDDEN")
    assert await refused(bob, room_id, "$unknown") == (404, "M_NOT_FOUND")
    assert await bob.redact(room_id, of_bob)
    assert await alice.redact(room_id, other_of_bob)
    assert (await event(homeserver, room_id, of_alice))["redacted_by"] is None


async def test_not_across_rooms_and_not_the_create_event(homeserver: Homeserver, alice: Client) -> None:
    one, two = await alice.create_room(), await alice.create_room()
    message = await alice.send(one, "here")
    create = (await events_of(homeserver, one))[0]["event_id"]

    assert await refused(alice, two, message) == (400, "M_INVALID_PARAM")
    assert await refused(alice, one, create) == (403, "M_FORBIDDEN")
    assert (await event(homeserver, one, message))["redacted_by"] is None


async def test_redacted_state_stands_redacted(homeserver: Homeserver, alice: Client) -> None:
    room_id = await alice.create_room(name="Rude")
    name = next(e["event_id"] for e in await events_of(homeserver, room_id) if e["type"] == "m.room.name")

    await alice.redact(room_id, name)

    assert (await state_of(homeserver, room_id))["m.room.name", ""] == {}
    # The same name again is a change now, although memory might know better.
    assert await alice.set_state(room_id, "m.room.name", {"name": "Rude"}) != name


async def test_the_power_of_a_redacted_event_is_what_is_left_of_it(alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(preset="public_chat", room_version="10")
    await bob.join(room_id)
    content = {"users": {alice.user_id: 100}, "invite": 100, "state_default": 50}
    levels = await alice.set_state(room_id, "m.room.power_levels", content)
    status, _ = await bob.post(path(room_id, "invite"), {"user_id": "@carol:one.example"})
    assert status == 403

    await alice.redact(room_id, levels)

    # In version 10 a redaction takes `invite` away, whose default is 0.
    await bob.invite(room_id, "@carol:one.example")


async def test_redacted_twice_keeps_the_first_redaction(homeserver: Homeserver, alice: Client) -> None:
    room_id = await alice.create_room()
    message = await alice.send(room_id, "regretted")

    first = await alice.redact(room_id, message)
    await alice.redact(room_id, message)

    assert (await event(homeserver, room_id, message))["redacted_by"] == first
