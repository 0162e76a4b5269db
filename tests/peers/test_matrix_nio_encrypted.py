"""matrix-nio with encryption (python-olm): secrets both ways, verification by emoji, keys asked for, carried and withheld."""

from __future__ import annotations

import io
from pathlib import Path

import nio
import pytest
from nio.crypto.attachments import decrypt_attachment

from tests.fixtures.live import live_server
from tests.peers.nio_person import Person, counted, logged_in, registered

pytestmark = [
    pytest.mark.peers,
    pytest.mark.skipif(not nio.crypto.ENCRYPTION_ENABLED, reason="python-olm is not installed"),
]
CHECKS = 46
"""So many are made, beside those of the file before."""
_ENCRYPTION = {
    "type": "m.room.encryption",
    "state_key": "",
    "content": {"algorithm": "m.megolm.v1.aes-sha2"},
}


async def test_two_people_talk_in_secret(tmp_path: Path) -> None:
    async with live_server(tmp_path / "server", "--open-registration") as server:
        with counted(CHECKS) as checks:
            alice = await registered(server.url, "alice", checks, tmp_path / "alice")
            bob = await registered(server.url, "bob", checks, tmp_path / "bob")
            people = [alice, bob]
            try:
                room_id = await _meet(alice, bob)
                await _trust_by_emoji(alice, bob)
                first = await _talk(alice, bob, room_id)
                await _file(alice, bob, room_id)
                second = await logged_in(server.url, "alice", checks, tmp_path / "second")
                people.append(second)
                await _second_device(alice, bob, second, room_id, first)
                await _keys_carried(alice, second, room_id, first, tmp_path / "keys")
                await _withheld(alice, bob, second, room_id)
            finally:
                for person in people:
                    await person.client.close()


async def _meet(alice: Person, bob: Person) -> str:
    checks = alice.checks
    for person in (alice, bob):
        await person.sync()
        checks.check(f"{person.user_id} has uploaded keys", person.client.olm_account_shared)
    room_id = await alice.makes(bob, name="Secrets", initial_state=[_ENCRYPTION])
    for one, other in ((alice, bob), (bob, alice)):
        checks.check(f"{one.user_id} sees that the room is encrypted", one.room(room_id).encrypted)
        asked = one.client.joined_members(room_id)
        await checks.told(f"{one.user_id} asks who is there", nio.JoinedMembersResponse, asked)
        known = lambda one=one, other=other: one.client.device_store[other.user_id].get(other.device_id)
        await one.sees(f"and knows {other.user_id}'s device", known)
    return room_id


async def _trust_by_emoji(alice: Person, bob: Person) -> None:
    checks = alice.checks
    theirs_of = lambda one, other: one.client.device_store[other.user_id][other.device_id]
    device = theirs_of(alice, bob)
    checks.check("alice does not trust bob's device yet", not device.verified)
    await checks.told(
        "she asks to verify it", nio.ToDeviceResponse, alice.client.start_key_verification(device)
    )
    (flow,) = alice.client.key_verifications
    await bob.sees("bob is asked", lambda: flow in bob.client.key_verifications)
    accepted = bob.client.accept_key_verification(flow)
    await checks.told("he accepts", nio.ToDeviceResponse, accepted)
    ours, theirs = alice.client.key_verifications[flow], bob.client.key_verifications[flow]
    keys = lambda: getattr(ours, "their_sas_key", None) and getattr(theirs, "their_sas_key", None)
    await alice.sees("they exchange keys", keys, bob)
    checks.same("both see the same emoji", ours.get_emoji(), theirs.get_emoji())
    for person in (alice, bob):
        confirmed = person.client.confirm_short_auth_string(flow)
        await checks.told(f"{person.user_id} confirms", nio.ToDeviceResponse, confirmed)
    await alice.sees("they have verified each other", lambda: ours.verified and theirs.verified, bob)
    checks.check("alice trusts bob's device", device.verified)
    checks.check("bob trusts alice's", theirs_of(bob, alice).verified)


async def _talk(alice: Person, bob: Person, room_id: str) -> str:
    """A secret each way; the event ID of bob's."""
    checks = alice.checks
    for sender, reader, body in ((alice, bob, "a secret"), (bob, alice, "well kept")):
        sent = await sender.says(room_id, body)
        event = await reader.hears(sent)
        checks.same(f"{reader.user_id} reads {body!r}", (event.body, event.decrypted), (body, True))
        checks.check("from a device that is verified", event.verified)
        path = nio.Api.room_get_event(reader.client.access_token, room_id, sent)[1]
        headers = {"Authorization": f"Bearer {reader.client.access_token}"}
        stored = await (await reader.client.send("GET", path, headers=headers)).json()
        checks.same("the server has it encrypted", stored["type"], "m.room.encrypted")
    before = event.session_id
    bob.client.invalidate_outbound_session(room_id)
    event = await alice.hears(await bob.says(room_id, "with a new key"))
    checks.same("alice reads what has a new key", event.body, "with a new key")
    checks.check("it is a new one", event.session_id != before)
    return sent


async def _file(alice: Person, bob: Person, room_id: str) -> None:
    checks = alice.checks
    uploaded, keys = await alice.client.upload(
        io.BytesIO(b"a small secret"), "text/plain", "small.txt", encrypt=True, filesize=14
    )
    assert isinstance(uploaded, nio.UploadResponse), uploaded
    file = {"file": keys | {"url": uploaded.content_uri}}
    sent = await alice.sends(room_id, {"msgtype": "m.file", "body": "small.txt"} | file)
    event = await bob.hears(sent)
    checks.check("bob is told of an encrypted file", isinstance(event, nio.RoomEncryptedFile))
    download = await bob.client.download(event.url)
    checks.check("which the server cannot read", download.body != b"a small secret")
    plain = decrypt_attachment(download.body, event.key["k"], event.hashes["sha256"], event.iv)
    checks.same("but bob can", plain, b"a small secret")


async def _second_device(alice: Person, bob: Person, second: Person, room_id: str, first: str) -> None:
    checks = alice.checks
    known = lambda person: second.device_id in person.client.device_store[alice.user_id]
    await second.awaited("its room", lambda: room_id in second.client.rooms)
    await bob.sees("bob sees alice's second device", lambda: known(bob), second)
    await alice.sees("so does alice", lambda: known(alice), second)
    event = await second.hears(await bob.says(room_id, "to both"))
    checks.same("it reads what bob says from now on", event.body, "to both")
    page = await second.client.room_messages(room_id, second.client.next_batch, limit=50)
    (unread,) = [event for event in page.chunk if event.event_id == first]
    checks.check("but not what he said before", isinstance(unread, nio.MegolmEvent))
    await second.awaited("the first device", lambda: second.client.device_store[alice.user_id])
    asked = second.client.request_room_key(unread)
    await checks.told("it asks the first for the key", nio.RoomKeyRequestResponse, asked)
    mine = alice.client.device_store[alice.user_id][second.device_id]
    requests = lambda: alice.client.get_active_key_requests(alice.user_id, second.device_id)
    (request, *_) = await alice.sees("which is asked", requests)
    alice.client.verify_device(mine)
    second.client.verify_device(second.client.device_store[alice.user_id][alice.device_id])
    checks.check("and gives it, once it trusts the second", alice.client.continue_key_share(request))
    await alice.client.send_to_device_messages()
    came = lambda: [event for event in second.to_device if isinstance(event, nio.ForwardedRoomKeyEvent)]
    await second.sees("the key comes", came)
    stored = await second.client.room_get_event(room_id, first)
    checks.same("then the second device reads it", getattr(stored.event, "body", stored), "well kept")


async def _keys_carried(alice: Person, second: Person, room_id: str, first: str, file: Path) -> None:
    checks = alice.checks
    secret = await alice.says(room_id, "for the file")
    await second.hears(secret)
    await alice.client.export_keys(str(file), "a passphrase", 100)
    checks.check("alice's keys in a file are encrypted", b"session_key" not in file.read_bytes())
    await second.client.import_keys(str(file), "a passphrase")
    stored = await second.client.room_get_event(room_id, first)
    checks.same("with them her second device reads on", stored.event.body, "well kept")


async def _withheld(alice: Person, bob: Person, second: Person, room_id: str) -> None:
    checks = alice.checks
    bob.client.blacklist_device(bob.client.device_store[alice.user_id][second.device_id])
    bob.client.invalidate_outbound_session(room_id)
    sent = await bob.says(room_id, "not for the second")
    checks.same("alice's first device reads on", (await alice.hears(sent)).body, "not for the second")
    unread = await second.hears(sent)
    checks.check("the second, which bob has put away, does not", isinstance(unread, nio.MegolmEvent))
    assert isinstance(await second.client.logout(), nio.LogoutResponse)
    devices = bob.client.device_store
    gone = lambda: (
        devices[alice.user_id].get(second.device_id) is None
        or (devices[alice.user_id][second.device_id].deleted)
    )
    await bob.sees("bob sees it go", gone)
    asked = bob.client.room_send(room_id, "m.room.message", {"msgtype": "m.text", "body": "as before"})
    sent_again = await checks.told("and sends to the devices that he trusts", nio.RoomSendResponse, asked)
    event = await alice.hears(sent_again.event_id)
    checks.same("which alice reads", event.body, "as before")
