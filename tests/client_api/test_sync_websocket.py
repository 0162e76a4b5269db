"""/sync over a WebSocket: the bodies of /sync as frames, and what the client says in between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest

from services.settings import Guards, RateLimit, RateLimits
from tests.fixtures.client import Client
from tests.fixtures.homeserver import MakeHomeserver

PATH = "/_matrix/client/unstable/chat.hearth.sync_websocket"


class Talk:
    """A client's end of a conversation."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.bodies: list[dict[str, Any]] = []
        self.results: dict[Any, dict[str, Any]] = {}

    async def frame(self) -> dict[str, Any]:
        """The next frame, within ten seconds; it is kept where it belongs."""
        async with asyncio.timeout(10):
            frame: dict[str, Any] = await self.socket.receive_json()
        if frame["type"] == "sync":
            self.bodies.append(frame["body"])
        else:
            self.results[frame["id"]] = frame
        return frame

    async def body(self) -> dict[str, Any]:
        """The next body of /sync, which is acknowledged."""
        while (frame := await self.frame())["type"] != "sync":
            pass
        await self.socket.send_json({"type": "ack", "next_batch": frame["body"]["next_batch"]})
        return self.bodies[-1]

    async def say(self, kind: str, **fields: Any) -> dict[str, Any]:
        """Says something; the result."""
        name = f"n{len(self.results)}"
        await self.socket.send_json({"type": kind, "id": name, **fields})
        while name not in self.results:
            await self.frame()
        return self.results[name]

    async def closed(self) -> tuple[int | None, Any]:
        """With what the server closes the conversation, after what else it says."""
        async with asyncio.timeout(10):
            while (message := await self.socket.receive()).type is aiohttp.WSMsgType.TEXT:
                pass
        return self.socket.close_code, message.extra


@asynccontextmanager
async def talking(client: Client, **params: Any) -> AsyncIterator[Talk]:
    """A conversation of the client."""
    headers = {"Authorization": f"Bearer {client.access_token}"}
    async with client.session.ws_connect(client.url + PATH, headers=headers, params=params) as socket:
        yield Talk(socket)


def _message(body: str) -> dict[str, Any]:
    return {"event_type": "m.room.message", "content": {"msgtype": "m.text", "body": body}}


def _texts(body: dict[str, Any], room_id: str) -> list[str]:
    room = body.get("rooms", {}).get("join", {}).get(room_id, {"timeline": {"events": []}})
    return [e["content"].get("body", "") for e in room["timeline"]["events"] if e["type"] == "m.room.message"]


async def test_news_come_as_they_happen(alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(preset="public_chat")
    await bob.join(room_id)
    async with talking(bob) as talk:
        assert room_id in (await talk.body())["rooms"]["join"]
        for text in ("one", "two"):
            await alice.send(room_id, text)
            assert _texts(await talk.body(), room_id) == [text]
        await alice.put(f"rooms/{quote(room_id)}/typing/{quote(alice.user_id)}", {"typing": True})
        ephemeral = (await talk.body())["rooms"]["join"][room_id]["ephemeral"]["events"]
        assert ephemeral == [{"type": "m.typing", "content": {"user_ids": [alice.user_id]}}]


async def test_what_was_not_acknowledged_comes_again_and_nothing_before_it_is(
    alice: Client, bob: Client
) -> None:
    room_id = await alice.create_room(preset="public_chat")
    await bob.join(room_id)
    since = (await bob.sync())["next_batch"]
    await alice.send(room_id, "one")
    async with talking(bob, since=since) as talk:
        assert (await talk.frame())["type"] == "sync"
        await alice.send(room_id, "two")
        # «two» is kept back until «one» is acknowledged; the result overtakes it.
        assert (await talk.say("typing", room_id=room_id, typing=False))["status"] == 200
        assert len(talk.bodies) == 1
    async with talking(bob, since=since) as talk:
        assert _texts(await talk.body(), room_id) == ["one", "two"]
        since = talk.bodies[-1]["next_batch"]
    await alice.send(room_id, "three")
    async with talking(bob, since=since) as talk:
        assert _texts(await talk.body(), room_id) == ["three"]


async def test_to_device_messages_are_deleted_when_they_are_acknowledged(alice: Client, bob: Client) -> None:
    messages = {"messages": {bob.user_id: {bob.device_id: {"secret": 1}}}}
    await alice.ok("PUT", "sendToDevice/m.custom/1", json=messages)
    for acknowledged in (False, True):
        async with talking(bob) as talk:
            frame = await talk.frame()
            assert [e["content"] for e in frame["body"]["to_device"]["events"]] == [{"secret": 1}]
            if acknowledged:
                await talk.socket.send_json({"type": "ack", "next_batch": frame["body"]["next_batch"]})
                room_id = await bob.create_room()  # the next body shows that the acknowledgement was heard
                assert room_id in (await talk.body())["rooms"]["join"]
    async with talking(bob) as talk:
        assert "to_device" not in (await talk.frame())["body"]


async def test_a_client_sends_types_and_reads_over_the_same_socket(alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(preset="public_chat")
    await bob.join(room_id)
    first = await alice.send(room_id, "hello")
    await alice.sync()
    async with talking(bob) as talk:
        sent = await talk.say("send", room_id=room_id, txn_id="t1", **_message("hi"))
        again = await talk.say("send", room_id=room_id, txn_id="t1", **_message("hi"))
        assert sent["body"] == again["body"]
        state = {"event_type": "m.custom", "state_key": "", "content": {}}
        assert (await talk.say("send", room_id=room_id, **state))["body"]["errcode"] == "M_FORBIDDEN"
        assert (await talk.say("typing", room_id=room_id, typing=True, timeout=20_000))["status"] == 200
        read = {"room_id": room_id, "receipt_type": "m.read", "event_id": first}
        assert (await talk.say("receipt", **read))["status"] == 200
    # Over HTTP the transaction is the same one.
    body = _message("hi")["content"]
    path = f"rooms/{quote(room_id)}/send/m.room.message/t1"
    assert (await bob.ok("PUT", path, json=body)) == sent["body"]
    room = (await alice.sync())["rooms"]["join"][room_id]
    assert [e["event_id"] for e in room["timeline"]["events"]] == [sent["body"]["event_id"]]
    told = {event["type"]: event["content"] for event in room["ephemeral"]["events"]}
    assert told["m.typing"] == {"user_ids": [bob.user_id]}
    assert first in told["m.receipt"]


async def test_what_is_no_frame_ends_the_conversation(alice: Client) -> None:
    for text in ("{", "[]", "{}", '{"type": 1}'):
        async with talking(alice) as talk:
            await talk.socket.send_str(text)
            assert (await talk.closed())[0] == 4400
    async with talking(alice) as talk:
        await talk.socket.send_bytes(b"{}")
        assert (await talk.closed())[0] == aiohttp.WSCloseCode.UNSUPPORTED_DATA
    async with talking(alice) as talk:
        await talk.socket.send_str('"' + "a" * 300_000 + '"')
        assert (await talk.closed())[0] == aiohttp.WSCloseCode.MESSAGE_TOO_BIG


@pytest.mark.parametrize(
    ("frame", "errcode"),
    [
        ({"type": "dance"}, "M_BAD_JSON"),
        ({"type": "send"}, "M_MISSING_PARAM"),
        ({"type": "send", "room_id": "room", "txn_id": "1", **_message("")}, "M_INVALID_PARAM"),
        ({"type": "send", "room_id": "!no:one.example", "txn_id": "1", **_message("")}, "M_FORBIDDEN"),
        ({"type": "typing", "room_id": "!no:one.example", "typing": 1}, "M_BAD_JSON"),
        ({"type": "receipt", "room_id": "!no:one.example", "receipt_type": "m.read"}, "M_MISSING_PARAM"),
    ],
)
async def test_what_cannot_be_done_is_answered(alice: Client, frame: dict[str, Any], errcode: str) -> None:
    async with talking(alice) as talk:
        result = await talk.say(frame.pop("type"), **frame)
        assert result["body"]["errcode"] == errcode
        assert result["status"] in (400, 403)


async def test_the_conversation_ends_with_the_login(alice: Client) -> None:
    phone = await alice.log_in()
    async with talking(phone) as talk, talking(alice) as other:
        await talk.body()
        await other.body()
        await phone.ok("POST", "logout", json={})
        assert await talk.closed() == (4401, "M_UNKNOWN_TOKEN")
        room_id = await alice.create_room()
        while "rooms" not in (body := await other.body()):
            pass  # that a device has gone is news too
        assert room_id in body["rooms"]["join"]


async def test_a_browser_shows_its_token_among_the_protocols(alice: Client) -> None:
    protocols = ("chat.hearth.sync", f"access_token.{alice.access_token}")
    async with alice.session.ws_connect(alice.url + PATH, protocols=protocols) as socket:
        assert socket.protocol == "chat.hearth.sync"
        assert "next_batch" in (await Talk(socket).body())
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await alice.session.ws_connect(alice.url + PATH, protocols=("access_token.wrong",))
    assert refused.value.status == 401


async def test_what_asks_for_no_websocket_is_told_so(alice: Client) -> None:
    status, said = await alice.get(PATH)
    assert (status, said["errcode"]) == (426, "M_UNRECOGNIZED")


async def test_a_user_has_so_many_conversations(make_homeserver: MakeHomeserver) -> None:
    homeserver = await make_homeserver(guards=Guards(connections_per_user=2))
    alice = await homeserver.user("alice")
    async with talking(alice) as one:
        async with talking(alice) as two:
            await one.body()
            await two.body()
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                async with talking(alice):
                    pass
            assert refused.value.status == 429


async def test_what_is_said_is_limited_as_over_http(make_homeserver: MakeHomeserver) -> None:
    buckets = {"general": RateLimit(100, 1000), "messages": RateLimit(0.1, 1)}
    homeserver = await make_homeserver(rate_limits=RateLimits(True, buckets))
    alice = await homeserver.user("alice")
    room_id = await alice.create_room()
    async with talking(alice) as talk:
        statuses = [
            (await talk.say("send", room_id=room_id, txn_id=f"t{n}", **_message("hi")))["status"]
            for n in range(2)
        ]
        assert statuses == [200, 429]
        assert talk.results["n1"]["body"]["retry_after_ms"] > 0
