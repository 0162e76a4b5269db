"""matrix-nio registers, talks, edits, reacts, redacts, paginates, reads and uploads."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from pathlib import Path

import nio
import pytest

from tests.fixtures.live import LiveServer, live_server


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[LiveServer]:
    async with live_server(tmp_path, "--open-registration") as running:
        yield running


async def _register(server: LiveServer, name: str) -> nio.AsyncClient:
    client = nio.AsyncClient(server.url, name)
    reply = await client.register(name, "correct horse battery")
    assert isinstance(reply, nio.RegisterResponse), reply
    assert client.user_id == f"@{name}:{server.name}"
    return client


async def _say(
    client: nio.AsyncClient, room_id: str, content: dict[str, object], kind: str = "m.room.message"
) -> str:
    sent = await client.room_send(room_id, kind, content)
    assert isinstance(sent, nio.RoomSendResponse), sent
    return str(sent.event_id)


async def test_two_people_talk(server: LiveServer) -> None:
    alice, bob = await _register(server, "alice"), await _register(server, "bob")
    try:
        room_id = await _alice_and_bob_meet(alice, bob)
        await _they_talk(alice, bob, room_id)
        await _bob_pages_back(alice, bob, room_id)
        await _files_and_profiles(alice, bob)
    finally:
        await alice.close()
        await bob.close()


async def _alice_and_bob_meet(alice: nio.AsyncClient, bob: nio.AsyncClient) -> str:
    created = await alice.room_create(name="Tea", topic="and biscuits", invite=[bob.user_id])
    assert isinstance(created, nio.RoomCreateResponse), created
    room_id = str(created.room_id)
    await bob.sync(timeout=0)
    assert room_id in bob.invited_rooms
    assert bob.invited_rooms[room_id].inviter == alice.user_id
    assert isinstance(await bob.join(room_id), nio.JoinResponse)
    await bob.sync(timeout=10_000)
    assert bob.rooms[room_id].name == "Tea"
    assert set(bob.rooms[room_id].users) == {alice.user_id, bob.user_id}
    return room_id


async def _they_talk(alice: nio.AsyncClient, bob: nio.AsyncClient, room_id: str) -> None:
    first = await _say(alice, room_id, {"msgtype": "m.text", "body": "helo"})
    edit = {"msgtype": "m.text", "body": "* hello", "m.new_content": {"msgtype": "m.text", "body": "hello"}}
    await _say(alice, room_id, edit | {"m.relates_to": {"rel_type": "m.replace", "event_id": first}})
    annotation = {"m.relates_to": {"rel_type": "m.annotation", "event_id": first, "key": "👋"}}
    await _say(bob, room_id, annotation, "m.reaction")
    oops = await _say(bob, room_id, {"msgtype": "m.text", "body": "oops"})
    assert isinstance(
        await bob.room_redact(room_id, oops, "typed in the wrong window"), nio.RoomRedactResponse
    )

    synced = await alice.sync(timeout=10_000)
    while not isinstance(synced.rooms.join[room_id].timeline.events[-1], nio.RedactionEvent):
        synced = await alice.sync(timeout=10_000)
    assert isinstance(await alice.room_read_markers(room_id, oops, oops), nio.RoomReadMarkersResponse)
    assert isinstance(await alice.room_typing(room_id, True), nio.RoomTypingResponse)
    typing = receipts = False
    while not (typing and receipts):
        news = await bob.sync(timeout=10_000)
        for event in news.rooms.join[room_id].ephemeral:
            typing = typing or (isinstance(event, nio.TypingNoticeEvent) and event.users == [alice.user_id])
            receipts = receipts or (
                isinstance(event, nio.ReceiptEvent)
                and any(r.user_id == alice.user_id for r in event.receipts)
            )


async def _bob_pages_back(alice: nio.AsyncClient, bob: nio.AsyncClient, room_id: str) -> None:
    for number in range(25):
        await _say(alice, room_id, {"msgtype": "m.text", "body": f"number {number}"})
    synced = await bob.sync(timeout=10_000)
    token, bodies = bob.next_batch, []
    while token:
        page = await bob.room_messages(room_id, token, limit=10)
        assert isinstance(page, nio.RoomMessagesResponse), page
        bodies += [event.body for event in page.chunk if isinstance(event, nio.RoomMessageText)]
        token = page.end
    assert isinstance(synced, nio.SyncResponse)
    assert bodies[:25] == [f"number {number}" for number in reversed(range(25))]
    assert bodies[25:] == ["* hello", "helo"]
    context = await bob.room_context(
        room_id, synced.rooms.join[room_id].timeline.events[-1].event_id, limit=4
    )
    assert isinstance(context, nio.RoomContextResponse)
    assert [event.body for event in context.events_before] == ["number 23", "number 22"]


async def _files_and_profiles(alice: nio.AsyncClient, bob: nio.AsyncClient) -> None:
    uploaded, _ = await alice.upload(io.BytesIO(b"a small file"), "text/plain", "small.txt", filesize=12)
    assert isinstance(uploaded, nio.UploadResponse), uploaded
    downloaded = await bob.download(uploaded.content_uri)
    assert isinstance(downloaded, nio.MemoryDownloadResponse), downloaded
    assert (downloaded.body, downloaded.content_type, downloaded.filename) == (
        b"a small file",
        "text/plain",
        "small.txt",
    )
    assert isinstance(await alice.set_displayname("Alice Liddell"), nio.ProfileSetDisplayNameResponse)
    profile = await bob.get_profile(alice.user_id)
    assert isinstance(profile, nio.ProfileGetResponse)
    assert profile.displayname == "Alice Liddell"


async def test_somebody_logs_out_and_in_again(server: LiveServer) -> None:
    alice = await _register(server, "alice")
    try:
        devices = await alice.devices()
        assert isinstance(devices, nio.DevicesResponse)
        assert [device.id for device in devices.devices] == [alice.device_id]
        assert isinstance(await alice.logout(), nio.LogoutResponse)
        assert isinstance(await alice.login("wrong"), nio.LoginError)
        assert isinstance(await alice.login("correct horse battery"), nio.LoginResponse)
        assert isinstance(await alice.whoami(), nio.WhoamiResponse)
    finally:
        await alice.close()
