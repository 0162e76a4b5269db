"""Receipts and read markers: never backwards, in their thread, and private where they are."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import quote

import pytest

from protocol.ids import UserID
from tests.fixtures.client import Client
from tests.fixtures.homeserver import Homeserver


def receipt(room_id: str, kind: str, event_id: str) -> str:
    return f"rooms/{quote(room_id)}/receipt/{kind}/{quote(event_id, safe='')}"


async def read(client: Client, room_id: str, event_id: str, kind: str = "m.read", **body: Any) -> None:
    await client.ok("POST", receipt(room_id, kind, event_id), json=body)


async def receipts(
    client: Client, room_id: str, timeout: int = 0
) -> dict[tuple[str, str, str], dict[str, Any]]:
    """What /sync says anew of receipts in the room: {(event, type, user): {...}}."""
    said = await client.sync(timeout)
    room = said.get("rooms", {}).get("join", {}).get(room_id, {})
    return {
        (event_id, kind, user_id): {name: value for name, value in about.items() if name != "ts"}
        for event in room.get("ephemeral", {}).get("events", [])
        if event["type"] == "m.receipt"
        for event_id, kinds in event["content"].items()
        for kind, users in kinds.items()
        for user_id, about in users.items()
    }


@pytest.fixture
async def room_id(alice: Client, bob: Client) -> str:
    """A room with alice and bob in it."""
    room_id = await alice.create_room(invite=[bob.user_id])
    await bob.join(room_id)
    return room_id


async def test_others_see_what_somebody_has_read(alice: Client, bob: Client, room_id: str) -> None:
    message = await alice.send(room_id, "hello")
    await alice.sync()

    waiting = asyncio.create_task(receipts(alice, room_id, 10_000))
    await read(bob, room_id, message)

    assert await waiting == {(message, "m.read", bob.user_id): {}}


async def test_a_receipt_never_goes_backwards(
    homeserver: Homeserver, alice: Client, bob: Client, room_id: str
) -> None:
    messages = [await alice.send(room_id, str(n)) for n in range(3)]
    await alice.sync()

    await read(bob, room_id, messages[1])
    assert await receipts(alice, room_id) == {(messages[1], "m.read", bob.user_id): {}}
    position = homeserver.tenant.feed.position
    for earlier in (messages[0], messages[1]):
        await read(bob, room_id, earlier)
    assert homeserver.tenant.feed.position == position
    await asyncio.gather(*(read(bob, room_id, message) for message in reversed(messages)))
    assert await receipts(alice, room_id) == {(messages[2], "m.read", bob.user_id): {}}


async def test_private_receipts_are_for_their_owner(alice: Client, bob: Client, room_id: str) -> None:
    message = await alice.send(room_id, "hello")
    await alice.sync()
    await bob.sync()

    await read(bob, room_id, message, "m.read.private")

    assert await receipts(alice, room_id) == {}
    assert await receipts(bob, room_id) == {(message, "m.read.private", bob.user_id): {}}


async def test_each_thread_has_its_own_receipt(alice: Client, bob: Client, room_id: str) -> None:
    root = await alice.send(room_id, "root")
    relates_to = {"rel_type": "m.thread", "event_id": root}
    reply = await alice.send(room_id, {"body": "reply", "m.relates_to": relates_to})
    reaction = await alice.send(
        room_id, {"m.relates_to": {"rel_type": "m.annotation", "event_id": reply, "key": "x"}}, "m.reaction"
    )
    after = await alice.send(room_id, "after")
    await alice.sync()

    await read(bob, room_id, after, thread_id="main")
    await read(bob, room_id, reply, thread_id=root)
    await read(bob, room_id, root)
    assert await receipts(alice, room_id) == {
        (after, "m.read", bob.user_id): {"thread_id": "main"},
        (reply, "m.read", bob.user_id): {"thread_id": root},
        (root, "m.read", bob.user_id): {},
    }
    await read(bob, room_id, reaction, thread_id=root)
    assert await receipts(alice, room_id) == {(reaction, "m.read", bob.user_id): {"thread_id": root}}


async def test_a_receipt_is_for_an_event_of_its_thread(alice: Client, room_id: str) -> None:
    root, other = await alice.send(room_id, "root"), await alice.send(room_id, "other")
    relates_to = {"rel_type": "m.thread", "event_id": root}
    reply = await alice.send(room_id, {"body": "reply", "m.relates_to": relates_to})

    for event_id, thread_id in (
        (reply, "main"),
        (reply, other),
        (other, root),
        (other, ""),
        (other, 5),
        (other, "\0"),
    ):
        status, body = await alice.post(receipt(room_id, "m.read", event_id), {"thread_id": thread_id})
        assert (status, body["errcode"]) == (400, "M_INVALID_PARAM")
    status, body = await alice.post(receipt(room_id, "m.fully_read", other), {"thread_id": "main"})
    assert (status, body["errcode"]) == (400, "M_INVALID_PARAM")
    await read(alice, room_id, root, thread_id=root)
    await read(alice, room_id, root, thread_id="main")


async def test_read_markers_set_all_at_once(alice: Client, bob: Client, room_id: str) -> None:
    messages = [await alice.send(room_id, str(n)) for n in range(3)]
    await bob.sync()

    path = f"rooms/{quote(room_id)}/read_markers"
    kinds = ("m.fully_read", "m.read", "m.read.private")
    await bob.ok("POST", path, json=dict(zip(kinds, messages, strict=True)))
    await bob.ok("POST", path, json={})

    said = (await bob.sync())["rooms"]["join"][room_id]
    marker = {"type": "m.fully_read", "content": {"event_id": messages[0]}}
    assert said["account_data"]["events"] == [marker]
    (event,) = said["ephemeral"]["events"]
    assert {kind for kinds in event["content"].values() for kind in kinds} == {"m.read", "m.read.private"}


async def test_the_fully_read_marker_goes_back_only_when_told_so(alice: Client, room_id: str) -> None:
    first, second = await alice.send(room_id, "1"), await alice.send(room_id, "2")
    data = f"user/{quote(alice.user_id)}/rooms/{quote(room_id)}/account_data/m.fully_read"

    await read(alice, room_id, second, "m.fully_read")
    await read(alice, room_id, first, "m.fully_read")
    assert await alice.ok("GET", data) == {"event_id": second}
    await read(alice, room_id, first, "m.fully_read", **{"com.beeper.allow_backward": True})
    assert await alice.ok("GET", data) == {"event_id": first}


async def test_who_is_not_in_the_room_reads_nothing(
    homeserver: Homeserver, alice: Client, room_id: str
) -> None:
    message = await alice.send(room_id, "hello")
    mallory = await homeserver.user("mallory")

    for path, body in (
        (receipt(room_id, "m.read", message), {}),
        (f"rooms/{quote(room_id)}/read_markers", {"m.read": message}),
    ):
        status, said = await mallory.post(path, body)
        assert (status, said["errcode"]) == (403, "M_FORBIDDEN")


async def test_only_events_of_the_room_are_read(alice: Client, room_id: str) -> None:
    elsewhere = await alice.send(await alice.create_room(), "elsewhere")

    for event_id in (elsewhere, "$unknown"):
        status, body = await alice.post(receipt(room_id, "m.read", event_id))
        assert (status, body["errcode"]) == (404, "M_NOT_FOUND")
    for path, body in (
        (receipt(room_id, "m.read", "nonsense"), {}),
        (receipt(room_id, "m.nonsense", elsewhere), {}),
        (f"rooms/{quote(room_id)}/read_markers", {"m.read": "nonsense"}),
    ):
        status, said = await alice.post(path, body)
        assert (status, said["errcode"]) == (400, "M_INVALID_PARAM")
    status, said = await alice.post(f"rooms/{quote(room_id)}/read_markers", {"m.read": 5})
    assert (status, said["errcode"]) == (400, "M_BAD_JSON")


async def test_a_private_receipt_wakes_its_owners_other_devices_only(
    homeserver: Homeserver, alice: Client, bob: Client, room_id: str
) -> None:
    message = await alice.send(room_id, "hello")
    phone = await bob.log_in()
    for client in (alice, bob, phone):
        await client.sync()
    listener = await homeserver.tenant.listeners.of(UserID(alice.user_id))

    waiting = asyncio.create_task(phone.sync(timeout=10_000))
    await read(bob, room_id, message, "m.read.private")

    (event,) = (await waiting)["rooms"]["join"][room_id]["ephemeral"]["events"]
    assert event["content"][message]["m.read.private"].keys() == {bob.user_id}
    assert listener.noted_since(0).receipts == ()
