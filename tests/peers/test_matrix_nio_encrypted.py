"""matrix-nio with encryption (python-olm): two devices share keys, verify by emoji and read each other; and more calls."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import nio
import pytest

from tests.fixtures.live import LiveServer, live_server

pytestmark = [
    pytest.mark.peers,
    pytest.mark.skipif(not nio.crypto.ENCRYPTION_ENABLED, reason="python-olm is not installed"),
]


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[LiveServer]:
    async with live_server(tmp_path / "server", "--open-registration") as running:
        yield running


async def _registered(server: LiveServer, name: str, folder: Path) -> nio.AsyncClient:
    store = folder / name
    store.mkdir()
    config = nio.AsyncClientConfig(encryption_enabled=True, store_sync_tokens=False)
    client = nio.AsyncClient(server.url, name, store_path=str(store), config=config)
    assert isinstance(await client.register(name, "correct horse battery"), nio.RegisterResponse)
    client.load_store()
    return client


async def _sync(client: nio.AsyncClient, timeout: int = 0) -> nio.SyncResponse:
    """One /sync, and what encryption wants done after it."""
    synced = await client.sync(timeout=timeout)
    assert isinstance(synced, nio.SyncResponse), synced
    if client.should_upload_keys:
        assert isinstance(await client.keys_upload(), nio.KeysUploadResponse)
    if client.should_query_keys:
        assert isinstance(await client.keys_query(), nio.KeysQueryResponse)
    for message in [*client.outgoing_to_device_messages]:
        assert isinstance(await client.to_device(message), nio.ToDeviceResponse)
    return synced


async def _decrypted(client: nio.AsyncClient, room_id: str) -> str:
    """The next text in the room."""
    for _ in range(20):
        synced = await _sync(client, 5000)
        room = synced.rooms.join.get(room_id)
        for event in room.timeline.events if room else ():
            if isinstance(event, nio.RoomMessageText) and event.sender != client.user_id:
                assert event.decrypted
                return str(event.body)
    raise AssertionError("nothing came")


async def test_two_people_talk_in_secret(server: LiveServer, tmp_path: Path) -> None:
    alice, bob = await _registered(server, "alice", tmp_path), await _registered(server, "bob", tmp_path)
    try:
        room_id = await _meet(alice, bob)
        await _trust_by_emoji(alice, bob)
        for sender, reader, body in ((alice, bob, "a secret"), (bob, alice, "well kept")):
            content = {"msgtype": "m.text", "body": body}
            sent = await sender.room_send(room_id, "m.room.message", content, ignore_unverified_devices=True)
            assert isinstance(sent, nio.RoomSendResponse), sent
            assert await _decrypted(reader, room_id) == body
            stored = await sender.room_get_event(room_id, sent.event_id)
            assert isinstance(stored, nio.RoomGetEventResponse)
            assert stored.event.decrypted
    finally:
        await alice.close()
        await bob.close()


async def _meet(alice: nio.AsyncClient, bob: nio.AsyncClient) -> str:
    for client in (alice, bob):
        await _sync(client)
        assert client.olm_account_shared
    encryption = {
        "type": "m.room.encryption",
        "state_key": "",
        "content": {"algorithm": "m.megolm.v1.aes-sha2"},
    }
    created = await alice.room_create(invite=[bob.user_id], initial_state=[encryption])
    assert isinstance(created, nio.RoomCreateResponse)
    await _sync(bob)
    assert isinstance(await bob.join(created.room_id), nio.JoinResponse)
    for client in (alice, bob):
        while created.room_id not in client.rooms or len(client.rooms[created.room_id].users) < 2:
            await _sync(client, 5000)
        assert client.rooms[created.room_id].encrypted
        members = await client.joined_members(created.room_id)
        assert isinstance(members, nio.JoinedMembersResponse)
        await _sync(client)
    return str(created.room_id)


async def _trust_by_emoji(alice: nio.AsyncClient, bob: nio.AsyncClient) -> None:
    device = alice.device_store[bob.user_id][bob.device_id]
    assert not device.verified
    assert isinstance(await alice.start_key_verification(device), nio.ToDeviceResponse)
    (flow,) = alice.key_verifications
    while flow not in bob.key_verifications:
        await _sync(bob, 5000)
    assert isinstance(await bob.accept_key_verification(flow), nio.ToDeviceResponse)
    ours, theirs = alice.key_verifications[flow], bob.key_verifications[flow]
    while not (getattr(ours, "their_sas_key", None) and getattr(theirs, "their_sas_key", None)):
        for client in (alice, bob):
            await _sync(client, 300)
    assert ours.get_emoji() == theirs.get_emoji()
    for client in (alice, bob):
        assert isinstance(await client.confirm_short_auth_string(flow), nio.ToDeviceResponse)
    while not (ours.verified and theirs.verified):
        for client in (alice, bob):
            await _sync(client, 300)
    assert device.verified
    assert bob.device_store[alice.user_id][alice.device_id].verified


async def test_what_else_it_asks(server: LiveServer, tmp_path: Path) -> None:
    alice, bob = await _registered(server, "alice", tmp_path), await _registered(server, "bob", tmp_path)
    try:
        await _rooms(alice, bob)
        await _threads_and_relations(alice)
        await _people(alice, bob)
        await _devices(alice)
    finally:
        await alice.close()
        await bob.close()


async def _rooms(alice: nio.AsyncClient, bob: nio.AsyncClient) -> None:
    public = nio.RoomVisibility.public
    created = await alice.room_create(
        visibility=public, name="Garden", alias="garden", preset=nio.RoomPreset.public_chat
    )
    room_id = created.room_id
    alias = f"#garden:{alice.user_id.partition(':')[2]}"
    resolved = await bob.room_resolve_alias(alias)
    assert isinstance(resolved, nio.RoomResolveAliasResponse)
    assert resolved.room_id == room_id
    listed = await bob.list_public_rooms()
    assert isinstance(listed, nio.PublicRoomsResponse) if hasattr(nio, "PublicRoomsResponse") else listed
    visibility = await bob.room_get_visibility(room_id)
    assert isinstance(visibility, nio.RoomGetVisibilityResponse)
    assert isinstance(await bob.join(alias), nio.JoinResponse)
    joined = await bob.joined_rooms()
    assert isinstance(joined, nio.JoinedRoomsResponse)
    assert joined.rooms == [room_id]
    assert isinstance(await alice.room_put_state(room_id, "org.example", {"a": 1}), nio.RoomPutStateResponse)
    state = await bob.room_get_state_event(room_id, "org.example")
    assert isinstance(state, nio.RoomGetStateEventResponse)
    assert state.content == {"a": 1}
    assert isinstance(await bob.room_get_state(room_id), nio.RoomGetStateResponse)
    assert isinstance(await alice.update_room_topic(room_id, "roses"), nio.RoomPutStateResponse)
    assert isinstance(await alice.room_kick(room_id, bob.user_id, "roses"), nio.RoomKickResponse)
    assert isinstance(await alice.room_ban(room_id, bob.user_id), nio.RoomBanResponse)
    assert isinstance(await bob.join(room_id), nio.JoinError)
    assert isinstance(await alice.room_unban(room_id, bob.user_id), nio.RoomUnbanResponse)
    assert isinstance(await bob.room_forget(room_id), nio.RoomForgetResponse)
    second = await alice.room_put_alias(alias.replace("garden", "yard"), room_id)
    assert isinstance(second, nio.RoomPutAliasResponse)
    gone = await alice.room_delete_alias(alias.replace("garden", "yard"))
    assert isinstance(gone, nio.RoomDeleteAliasResponse)
    assert isinstance(await alice.room_leave(room_id), nio.RoomLeaveResponse)


async def _threads_and_relations(alice: nio.AsyncClient) -> None:
    created = await alice.room_create(name="Threads")
    room_id = created.room_id
    await _sync(alice)
    root = await alice.room_send(room_id, "m.reaction2", {"body": "root"}, ignore_unverified_devices=True)
    relation = {"rel_type": "m.thread", "event_id": root.event_id}
    reply = {"msgtype": "m.text", "body": "reply", "m.relates_to": relation}
    await alice.room_send(room_id, "m.room.message", reply, ignore_unverified_devices=True)
    related = [event async for event in alice.room_get_event_relations(room_id, root.event_id)]
    assert [event.body for event in related] == ["reply"]
    threads = [event async for event in alice.room_get_threads(room_id)]
    assert [event.event_id for event in threads] == [root.event_id]


async def _people(alice: nio.AsyncClient, bob: nio.AsyncClient) -> None:
    presence = await alice.set_presence("unavailable", "tea")
    assert isinstance(presence, nio.PresenceSetResponse)
    assert isinstance(await alice.set_displayname("Alice"), nio.ProfileSetDisplayNameResponse)
    assert isinstance(await alice.get_displayname(), nio.ProfileGetDisplayNameResponse)
    assert isinstance(await alice.set_avatar("mxc://example.org/a"), nio.ProfileSetAvatarResponse)
    avatar = await bob.get_avatar(alice.user_id)
    assert isinstance(avatar, nio.ProfileGetAvatarResponse)
    assert avatar.avatar_url == "mxc://example.org/a"
    assert isinstance(await alice.content_repository_config(), nio.ContentRepositoryConfigResponse)
    assert isinstance(await alice.get_openid_token(alice.user_id), nio.GetOpenIDTokenResponse)
    assert isinstance(await alice.upload_filter(room={"timeline": {"limit": 1}}), nio.UploadFilterResponse)
    assert isinstance(await alice.login_info(), nio.LoginInfoResponse)


async def _devices(alice: nio.AsyncClient) -> None:
    renamed = await alice.update_device(alice.device_id, {"display_name": "Kettle"})
    assert isinstance(renamed, nio.UpdateDeviceResponse)
    devices = await alice.devices()
    assert [device.display_name for device in devices.devices] == ["Kettle"]
    asked = await alice.delete_devices(["NOBODY"])
    assert isinstance(asked, nio.DeleteDevicesAuthResponse)
