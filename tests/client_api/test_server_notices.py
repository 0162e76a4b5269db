"""What the server itself tells users."""

from __future__ import annotations

import pytest

from services.settings import ServerNotices
from tests.fixtures.client import Client
from tests.fixtures.homeserver import Homeserver, MakeHomeserver

NOTICES = ServerNotices("@server:one.example", "The server", "Notices")
SEND = "/_synapse/admin/v1/send_server_notice"
CONTENT = {
    "msgtype": "m.server_notice",
    "body": "Tonight is maintenance",
    "server_notice_type": "org.example.night",
}


async def _admin(homeserver: Homeserver) -> Client:
    admin = await homeserver.user("root")
    async with homeserver.tenant.database.transaction() as tx:
        await tx.execute("UPDATE users SET is_admin = true WHERE user_id = $1", admin.user_id)
    return admin


@pytest.fixture
async def speaking(make_homeserver: MakeHomeserver) -> Homeserver:
    """A homeserver that has a voice."""
    return await make_homeserver(server_notices=NOTICES)


async def test_a_user_is_told_in_one_room_that_is_tagged(speaking: Homeserver) -> None:
    admin, bob = await _admin(speaking), await speaking.user("bob")
    event_id = (await admin.ok("POST", SEND, json={"user_id": bob.user_id, "content": CONTENT}))["event_id"]
    invites = (await bob.sync())["rooms"]["invite"]
    [room_id] = invites
    await bob.join(room_id)
    room = (await bob.sync(since=""))["rooms"]["join"][room_id]
    assert {"type": "m.tag", "content": {"tags": {"m.server_notice": {}}}} in room["account_data"]["events"]
    assert room["timeline"]["events"][-2]["event_id"] == event_id
    assert room["timeline"]["events"][-2]["content"] == CONTENT
    assert (await bob.get(f"profile/{NOTICES.user_id}"))[1]["displayname"] == "The server"
    assert (await bob.state(room_id, "m.room.name"))["name"] == "Notices"
    assert (await bob.put(f"rooms/{room_id}/send/m.room.message/1", CONTENT))[0] == 403
    await admin.ok("POST", SEND, json={"user_id": bob.user_id, "content": CONTENT})
    assert (await bob.messages(room_id))[0]["content"] == CONTENT


async def test_the_invite_cannot_be_rejected_but_the_room_can_be_left(speaking: Homeserver) -> None:
    admin, bob = await _admin(speaking), await speaking.user("bob")
    body = {"user_id": bob.user_id, "content": CONTENT}
    await admin.ok("POST", SEND, json=body)
    [room_id] = (await bob.sync())["rooms"]["invite"]
    status, said = await bob.post(f"rooms/{room_id}/leave")
    assert (status, said["errcode"]) == (403, "M_CANNOT_LEAVE_SERVER_NOTICE_ROOM")
    await bob.join(room_id)
    await bob.leave(room_id)
    await admin.ok("POST", SEND, json=body)
    assert list((await bob.sync(since=""))["rooms"]["invite"]) == [room_id]


async def test_a_notice_with_a_transaction_is_told_once(speaking: Homeserver) -> None:
    admin, bob = await _admin(speaking), await speaking.user("bob")
    body = {"user_id": bob.user_id, "content": CONTENT}
    first = await admin.ok("PUT", f"{SEND}/night", json=body)
    assert await admin.ok("PUT", f"{SEND}/night", json=body) == first


async def test_only_administrators_speak_and_only_to_users_of_ours(speaking: Homeserver) -> None:
    admin, bob = await _admin(speaking), await speaking.user("bob")
    for client, user_id, status, errcode in (
        (bob, bob.user_id, 403, "M_FORBIDDEN"),
        (admin, "@bob:elsewhere.example", 400, "M_INVALID_PARAM"),
        (admin, "bob", 400, "M_INVALID_PARAM"),
        (admin, "@nobody:one.example", 404, "M_NOT_FOUND"),
    ):
        got = await client.post(SEND, {"user_id": user_id, "content": CONTENT})
        assert (got[0], got[1]["errcode"]) == (status, errcode)


async def test_without_a_voice_there_is_no_such_thing(homeserver: Homeserver) -> None:
    admin = await _admin(homeserver)
    status, said = await admin.post(SEND, {"user_id": admin.user_id, "content": CONTENT})
    assert (status, said["errcode"]) == (404, "M_UNRECOGNIZED")


async def test_nobody_can_shut_the_server_out(speaking: Homeserver) -> None:
    admin, bob = await _admin(speaking), await speaking.user("bob")
    for type, content in (
        ("m.invite_permission_config", {"default_action": "block"}),
        ("m.ignored_user_list", {"ignored_users": {NOTICES.user_id: {}}}),
    ):
        await bob.ok("PUT", f"user/{bob.user_id}/account_data/{type}", json=content)
    await admin.ok("POST", SEND, json={"user_id": bob.user_id, "content": CONTENT})
    assert (await admin.post("createRoom", {"invite": [bob.user_id]}))[1]["errcode"] == "M_INVITE_BLOCKED"
    [room_id] = (await bob.sync())["rooms"]["invite"]
    await bob.join(room_id)
    events = (await bob.sync())["rooms"]["join"][room_id]["timeline"]["events"]
    assert CONTENT in [event["content"] for event in events]
