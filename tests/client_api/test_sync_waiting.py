"""/sync waits for news, and wakes at each kind of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote

from tests.fixtures.client import Client
from tests.fixtures.homeserver import Homeserver

Json = dict[str, Any]


async def _while_waiting(homeserver: Homeserver, waiting: Client, act: Callable[[], Awaitable[Any]]) -> Json:
    """What a /sync says that was waiting when something was done."""
    reply = asyncio.create_task(waiting.sync(timeout=20_000, set_presence="offline"))
    await _until_it_waits(homeserver, waiting)
    await act()
    return await reply


async def _until_it_waits(homeserver: Homeserver, client: Client) -> None:
    listener = await homeserver.tenant.listeners.of(client.user_id)  # type: ignore[arg-type]
    async with asyncio.timeout(10):
        while not listener.is_waited_for:
            await asyncio.sleep(0)


async def test_each_kind_of_news_wakes_who_waits(homeserver: Homeserver, alice: Client, bob: Client) -> None:
    room = await alice.create_room(preset="public_chat")
    await bob.join(room)
    path, me = f"rooms/{quote(room, safe='')}", f"user/{bob.user_id}"
    said = await alice.send(room, "hello")
    await bob.sync(set_presence="offline")
    news = await _while_waiting(homeserver, bob, lambda: alice.send(room, "you there?"))
    assert news["rooms"]["join"][room]["timeline"]["events"][0]["content"]["body"] == "you there?"
    news = await _while_waiting(
        homeserver, bob, lambda: alice.put(f"{path}/typing/{alice.user_id}", {"typing": True})
    )
    (typing,) = news["rooms"]["join"][room]["ephemeral"]["events"]
    assert typing == {"type": "m.typing", "content": {"user_ids": [alice.user_id]}}
    news = await _while_waiting(
        homeserver, bob, lambda: alice.post(f"{path}/receipt/m.read/{quote(said, safe='')}")
    )
    (receipt,) = news["rooms"]["join"][room]["ephemeral"]["events"]
    assert receipt["content"][said]["m.read"].keys() == {alice.user_id}
    news = await _while_waiting(homeserver, bob, lambda: bob.put(f"{me}/account_data/org.example", {"a": 1}))
    assert news["account_data"]["events"] == [{"type": "org.example", "content": {"a": 1}}]
    news = await _while_waiting(
        homeserver, bob, lambda: bob.put(f"{me}/{path}/account_data/org.example", {"a": 2})
    )
    (data,) = news["rooms"]["join"][room]["account_data"]["events"]
    assert data == {"type": "org.example", "content": {"a": 2}}
    message = {"messages": {bob.user_id: {bob.device_id: {"x": 1}}}}
    news = await _while_waiting(homeserver, bob, lambda: alice.put("sendToDevice/org.example/1", message))
    (event,) = news["to_device"]["events"]
    assert event == {"type": "org.example", "content": {"x": 1}, "sender": alice.user_id}
    status = f"presence/{alice.user_id}/status"
    news = await _while_waiting(homeserver, bob, lambda: alice.put(status, {"presence": "unavailable"}))
    (presence,) = news["presence"]["events"]
    assert (presence["sender"], presence["content"]["presence"]) == (alice.user_id, "unavailable")
    other = await alice.create_room()
    news = await _while_waiting(homeserver, bob, lambda: alice.invite(other, bob))
    assert other in news["rooms"]["invite"]
    news = await _while_waiting(homeserver, bob, lambda: bob.join(other))
    assert other in news["rooms"]["join"]
    news = await _while_waiting(homeserver, bob, lambda: bob.leave(other))
    assert other in news["rooms"]["leave"]


async def test_what_does_not_concern_the_user_does_not_wake(
    homeserver: Homeserver, alice: Client, bob: Client
) -> None:
    other = await alice.create_room()
    await bob.sync(set_presence="offline")
    reply = asyncio.create_task(bob.sync(timeout=300, set_presence="offline"))
    await _until_it_waits(homeserver, bob)
    await alice.send(other, "not for bob")
    assert "rooms" not in await reply


async def test_private_receipts_are_for_their_owner(alice: Client, bob: Client) -> None:
    room = await alice.create_room(preset="public_chat")
    await bob.join(room)
    said = await alice.send(room, "hello")
    await alice.sync()
    await bob.sync()
    await bob.ok(
        "POST", f"rooms/{quote(room, safe='')}/receipt/m.read.private/{quote(said, safe='')}", json={}
    )
    news = (await bob.sync(timeout=5000))["rooms"]["join"][room]
    assert news["ephemeral"]["events"][0]["content"][said]["m.read.private"].keys() == {bob.user_id}
    assert news["unread_notifications"]["notification_count"] == 0
    assert "rooms" not in await alice.sync()
    whole = (await alice.sync(since=""))["rooms"]["join"][room]
    assert whole["ephemeral"]["events"] == []


async def test_messages_to_the_device_come_until_they_are_acknowledged(alice: Client, bob: Client) -> None:
    await bob.sync()
    since = bob.next_batch
    for n in range(150):
        message = {"messages": {bob.user_id: {"*": {"n": n}}}}
        await alice.ok("PUT", f"sendToDevice/org.example/{n}", json=message)
    first = await bob.sync()
    again = await bob.sync(since=since)
    assert first["to_device"] == again["to_device"]
    got = [event["content"]["n"] for event in first["to_device"]["events"]]
    rest = [event["content"]["n"] for event in (await bob.sync(timeout=5000))["to_device"]["events"]]
    assert len(got) == 100
    assert got + rest == list(range(150))
    assert "to_device" not in await bob.sync()
    assert "to_device" not in await bob.sync(since="")


async def test_a_call_ends_with_its_client(homeserver: Homeserver, bob: Client) -> None:
    await bob.sync(set_presence="offline")
    reply = asyncio.create_task(bob.sync(timeout=60_000, set_presence="offline"))
    await _until_it_waits(homeserver, bob)
    served = len(homeserver.served)
    reply.cancel()
    await asyncio.wait([reply])
    async with asyncio.timeout(10):
        while len(homeserver.served) == served:
            await asyncio.sleep(0)


async def test_unread_counts_go_up_and_down(alice: Client, bob: Client) -> None:
    room = await alice.create_room(preset="public_chat")
    await bob.join(room)
    await bob.sync()
    for expected in (1, 2):
        said = await alice.send(room, "unread")
        news = (await bob.sync(timeout=5000))["rooms"]["join"][room]
        assert news["unread_notifications"]["notification_count"] == expected
    await bob.ok("POST", f"rooms/{quote(room, safe='')}/receipt/m.read/{quote(said, safe='')}", json={})
    news = (await bob.sync(timeout=5000))["rooms"]["join"][room]
    assert news["unread_notifications"] == {"notification_count": 0, "highlight_count": 0}
