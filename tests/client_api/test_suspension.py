"""Locked and suspended accounts: what they may do, and who may do that to them (§Server administration)."""

from __future__ import annotations

import pytest

from protocol.ids import UserID
from services.accounts.standing import set_standing
from tests.fixtures.client import Client
from tests.fixtures.homeserver import Homeserver

V1 = "/_matrix/client/v1/admin"


@pytest.fixture
async def admin(homeserver: Homeserver) -> Client:
    """@admin:one.example, an administrator."""
    admin = await homeserver.user("admin")
    async with homeserver.tenant.database.read() as tx:
        await tx.execute("UPDATE users SET is_admin = true WHERE user_id = $1", admin.user_id)
    return admin


async def suspend(homeserver: Homeserver, user: Client) -> None:
    """From now on the user is suspended."""
    await set_standing(homeserver.tenant, UserID(user.user_id), locked=False, suspended=True)


async def test_the_suspended_may_only_read(homeserver: Homeserver, alice: Client, bob: Client) -> None:
    room, public, knocked = (
        await alice.create_room(),
        await bob.create_room(preset="public_chat"),
        await bob.create_room(
            initial_state=[{"type": "m.room.join_rules", "content": {"join_rule": "knock"}}]
        ),
    )
    invited = await bob.create_room(invite=[alice.user_id])
    await alice.invite(room, bob)
    await bob.join(room)
    own, bobs = await alice.send(room, "mine"), await bob.send(room, "his")
    await suspend(homeserver, alice)

    refused = [
        ("POST", f"join/{public}", {}),
        ("POST", f"rooms/{public}/join", {}),
        ("POST", f"rooms/{invited}/join", {}),
        ("POST", f"knock/{knocked}", {}),
        ("POST", f"rooms/{room}/invite", {"user_id": "@carol:one.example"}),
        ("POST", f"rooms/{room}/kick", {"user_id": bob.user_id}),
        ("POST", f"rooms/{room}/ban", {"user_id": bob.user_id}),
        ("PUT", f"rooms/{room}/send/m.room.message/1", {"body": "hello", "msgtype": "m.text"}),
        ("PUT", f"rooms/{room}/state/m.room.topic/", {"topic": "help"}),
        (
            "PUT",
            f"rooms/{room}/state/m.room.member/{alice.user_id}",
            {"membership": "join", "displayname": "x"},
        ),
        ("PUT", f"rooms/{room}/redact/{bobs}/2", {}),
        ("PUT", f"profile/{alice.user_id}/displayname", {"displayname": "Alice"}),
        ("DELETE", f"profile/{alice.user_id}/displayname", {}),
        ("POST", "createRoom", {}),
        ("POST", f"rooms/{room}/upgrade", {"new_version": "12"}),
    ]
    for method, path, body in refused:
        status, said = await alice.request(method, path, json=body)
        assert (status, said["errcode"]) == (403, "M_USER_SUSPENDED"), f"{method} {path}: {said}"

    device = await alice.log_in()
    assert "his" in str(await device.messages(room))
    await device.sync()
    await device.redact(room, own)
    await device.ok("POST", f"rooms/{room}/read_markers", json={"m.read": bobs})
    await device.ok("PUT", f"user/{alice.user_id}/account_data/m.x", json={})
    await device.leave(invited)
    await device.leave(room)
    await device.ok("POST", "logout", json={})


async def test_a_retried_message_is_still_there_after_the_suspension(
    homeserver: Homeserver, alice: Client
) -> None:
    room = await alice.create_room()
    path, body = f"rooms/{room}/send/m.room.message/1", {"body": "hello", "msgtype": "m.text"}
    sent = await alice.ok("PUT", path, json=body)
    await suspend(homeserver, alice)
    assert await alice.ok("PUT", path, json=body) == sent


@pytest.mark.parametrize(
    ("what", "word", "errcode"),
    [("lock", "locked", (401, "M_USER_LOCKED")), ("suspend", "suspended", (403, "M_USER_SUSPENDED"))],
)
async def test_an_administrator_locks_and_suspends(
    alice: Client, admin: Client, what: str, word: str, errcode: tuple[int, str]
) -> None:
    path = f"{V1}/{what}/{alice.user_id}"
    assert await admin.ok("GET", path) == {word: False}
    assert await admin.ok("PUT", path, json={word: True}) == {word: True}
    assert await admin.ok("GET", path) == {word: True}
    other = {"lock": "suspend", "suspend": "lock"}[what]
    assert not any((await admin.ok("GET", f"{V1}/{other}/{alice.user_id}")).values())
    status, said = await alice.post("createRoom")
    assert (status, said["errcode"]) == errcode
    assert await admin.ok("PUT", path, json={word: False}) == {word: False}
    await alice.create_room()


@pytest.mark.parametrize(("what", "word"), [("lock", "locked"), ("suspend", "suspended")])
async def test_whom_nobody_may_lock(
    homeserver: Homeserver, alice: Client, bob: Client, admin: Client, what: str, word: str
) -> None:
    other = await homeserver.user("other")
    async with homeserver.tenant.database.read() as tx:
        await tx.execute("UPDATE users SET is_admin = true WHERE user_id = $1", other.user_id)
        await tx.execute("UPDATE users SET deactivated = true WHERE user_id = $1", bob.user_id)
    for asks, target, reading, writing in (
        (alice, "@nobody:one.example", (403, "M_FORBIDDEN"), (403, "M_FORBIDDEN")),  # rights before existence
        (alice, alice.user_id, (403, "M_FORBIDDEN"), (403, "M_FORBIDDEN")),
        (admin, "@nobody:one.example", (404, "M_NOT_FOUND"), (404, "M_NOT_FOUND")),
        (admin, bob.user_id, (404, "M_NOT_FOUND"), (404, "M_NOT_FOUND")),
        (admin, "@alice:two.example", (400, "M_INVALID_PARAM"), (400, "M_INVALID_PARAM")),
        (admin, "alice", (400, "M_INVALID_PARAM"), (400, "M_INVALID_PARAM")),
        (admin, other.user_id, (403, "M_FORBIDDEN"), (403, "M_FORBIDDEN")),
        (admin, admin.user_id, (200, None), (403, "M_FORBIDDEN")),
    ):
        status, said = await asks.get(f"{V1}/{what}/{target}")
        assert (status, said.get("errcode")) == reading, target
        status, said = await asks.put(f"{V1}/{what}/{target}", {word: True})
        assert (status, said.get("errcode")) == writing, target
    assert (await admin.put(f"{V1}/{what}/{alice.user_id}", {}))[1]["errcode"] == "M_MISSING_PARAM"


async def test_only_administrators_are_told_that_they_may(alice: Client, admin: Client) -> None:
    assert "m.account_management" not in (await alice.ok("GET", "capabilities"))["capabilities"]
    said = (await admin.ok("GET", "capabilities"))["capabilities"]["m.account_management"]
    assert said == {"lock": True, "suspend": True}
