"""Who may come into a room, who must go, and what is kept of it."""

from __future__ import annotations

from typing import Any

import pytest

from services.settings import Registration, RegistrationMode
from tests.client_api.stored import membership, path, state_of
from tests.fixtures.client import Client
from tests.fixtures.homeserver import Homeserver, MakeHomeserver

FORBIDDEN = (403, "M_FORBIDDEN")


@pytest.fixture
async def carol(homeserver: Homeserver) -> Client:
    """@carol:one.example."""
    return await homeserver.user("carol")


async def refused(
    client: Client, room_id: str, what: str, body: dict[str, Any] | None = None
) -> tuple[int, str]:
    """Status and error code of a membership request."""
    status, said = await client.post(path(room_id, what), body or {})
    return status, said.get("errcode", "")


async def is_(homeserver: Homeserver, room_id: str, client: Client) -> str | None:
    """The client's membership."""
    return (await membership(homeserver, room_id, client.user_id)).get("membership")


async def test_the_public_join_by_id_and_by_alias(
    homeserver: Homeserver, alice: Client, bob: Client, carol: Client
) -> None:
    room_id = await alice.create_room(preset="public_chat", room_alias_name="here")

    assert await bob.join(room_id) == room_id
    assert await carol.join("#here:one.example") == room_id

    assert await is_(homeserver, room_id, bob) == await is_(homeserver, room_id, carol) == "join"
    assert (await bob.ok("POST", path(room_id, "join"), json={}))["room_id"] == room_id


async def test_joining_twice_changes_nothing(homeserver: Homeserver, alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(preset="public_chat")
    await bob.join(room_id)
    before = await membership(homeserver, room_id, bob.user_id)

    await bob.join(room_id)

    assert await membership(homeserver, room_id, bob.user_id) == before


async def test_a_private_room_wants_an_invite(homeserver: Homeserver, alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(preset="private_chat", name="Secret")
    assert await refused(bob, room_id, "join") == FORBIDDEN

    await alice.invite(room_id, bob)
    invited = await membership(homeserver, room_id, bob.user_id)
    await bob.join(room_id)

    assert (invited["membership"], invited["sender"]) == ("invite", alice.user_id)
    assert await is_(homeserver, room_id, bob) == "join"


async def test_an_invite_brings_the_stripped_state(
    homeserver: Homeserver, alice: Client, bob: Client
) -> None:
    room_id = await alice.create_room(preset="private_chat", name="Secret", topic="Hush")

    await alice.invite(room_id, bob)

    stripped = (await membership(homeserver, room_id, bob.user_id))["stripped"]
    shown = {event["type"]: event for event in stripped}
    assert set(shown) == {
        "m.room.create",
        "m.room.join_rules",
        "m.room.name",
        "m.room.topic",
        "m.room.member",
    }
    assert shown["m.room.name"] == {
        "type": "m.room.name",
        "state_key": "",
        "sender": alice.user_id,
        "content": {"name": "Secret"},
    }
    assert shown["m.room.member"]["state_key"] == alice.user_id


async def test_an_invite_again_changes_nothing(homeserver: Homeserver, alice: Client, bob: Client) -> None:
    room_id = await alice.create_room()
    await alice.invite(room_id, bob)
    before = await membership(homeserver, room_id, bob.user_id)

    await alice.invite(room_id, bob)

    assert await membership(homeserver, room_id, bob.user_id) == before


async def test_those_in_the_room_and_the_banned_are_not_invited(
    alice: Client, bob: Client, carol: Client
) -> None:
    room_id = await alice.create_room(preset="public_chat")
    await bob.join(room_id)
    await alice.ok("POST", path(room_id, "ban"), json={"user_id": carol.user_id})

    for guest in (bob, carol):
        assert await refused(alice, room_id, "invite", {"user_id": guest.user_id}) == FORBIDDEN
    assert await refused(bob, room_id, "invite", {"user_id": "@dan:one.example"}) == FORBIDDEN


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, (400, "M_MISSING_PARAM")),
        ({"user_id": 5}, (400, "M_BAD_JSON")),
        ({"user_id": "bob"}, (400, "M_INVALID_PARAM")),
        ({"user_id": "@far:away.example"}, FORBIDDEN),
        ({"medium": "email", "address": "a@b.c", "id_server": "id.example"}, (400, "M_MISSING_PARAM")),
        (
            {"medium": "email", "address": "a@b.c", "id_server": "id.example", "id_access_token": "x"},
            (400, "M_SERVER_NOT_TRUSTED"),
        ),
    ],
)
async def test_invites_that_cannot_be(alice: Client, body: dict[str, Any], expected: tuple[int, str]) -> None:
    room_id = await alice.create_room()

    assert await refused(alice, room_id, "invite", body) == expected


async def test_who_blocks_invites_gets_none(alice: Client, bob: Client) -> None:
    room_id = await alice.create_room()
    url = f"user/{bob.user_id}/account_data/m.invite_permission_config"
    await bob.ok("PUT", url, json={"default_action": "block"})

    assert await refused(alice, room_id, "invite", {"user_id": bob.user_id}) == (403, "M_INVITE_BLOCKED")
    status, said = await alice.post("createRoom", {"invite": [bob.user_id]})
    assert (status, said["errcode"]) == (403, "M_INVITE_BLOCKED")


async def test_leaving_and_rejecting(homeserver: Homeserver, alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(preset="public_chat")
    await bob.join(room_id)
    await bob.leave(room_id)
    assert await is_(homeserver, room_id, bob) == "leave"

    await alice.invite(room_id, bob)
    await bob.leave(room_id)
    assert await is_(homeserver, room_id, bob) == "leave"
    await bob.leave(room_id)  # again: as wished

    assert await refused(bob, "!nowhere:one.example", "leave") == (404, "M_NOT_FOUND")


async def test_the_reason_is_in_the_event(homeserver: Homeserver, alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(preset="public_chat")
    await bob.ok("POST", path(room_id, "join"), json={"reason": "curious"})
    key = ("m.room.member", bob.user_id)
    assert (await state_of(homeserver, room_id))[key]["reason"] == "curious"

    await bob.ok("POST", path(room_id, "leave"), json={"reason": "seen enough"})

    assert (await state_of(homeserver, room_id))[key] == {"membership": "leave", "reason": "seen enough"}


async def test_kicking(homeserver: Homeserver, alice: Client, bob: Client, carol: Client) -> None:
    room_id = await alice.create_room(preset="public_chat")
    await bob.join(room_id)
    target = {"user_id": bob.user_id}

    assert await refused(carol, room_id, "kick", target) == FORBIDDEN
    assert await refused(bob, room_id, "kick", {"user_id": alice.user_id}) == FORBIDDEN
    assert await refused(alice, room_id, "kick", {"user_id": carol.user_id}) == FORBIDDEN

    await alice.ok("POST", path(room_id, "kick"), json={**target, "reason": "noise"})

    assert (await state_of(homeserver, room_id))["m.room.member", bob.user_id] == {
        "membership": "leave",
        "reason": "noise",
    }


async def test_banning_and_unbanning(homeserver: Homeserver, alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(preset="public_chat")
    target = {"user_id": bob.user_id}
    assert await refused(alice, room_id, "unban", target) == (403, "M_BAD_STATE")

    await alice.ok("POST", path(room_id, "ban"), json=target)
    assert await refused(bob, room_id, "join") == FORBIDDEN
    assert await refused(alice, room_id, "kick", target) == FORBIDDEN  # which would be an unban
    assert await refused(bob, room_id, "leave") == FORBIDDEN

    await alice.ok("POST", path(room_id, "unban"), json=target)
    assert await bob.join(room_id) == room_id


async def test_forgetting(homeserver: Homeserver, alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(preset="public_chat")
    await bob.join(room_id)
    assert await refused(bob, room_id, "forget") == (400, "M_UNKNOWN")

    await bob.leave(room_id)
    await bob.ok("POST", path(room_id, "forget"), json={})
    assert (await membership(homeserver, room_id, bob.user_id))["forgotten"]

    await bob.join(room_id)
    assert not (await membership(homeserver, room_id, bob.user_id))["forgotten"]


async def test_what_is_not_there_is_not_joined(bob: Client) -> None:
    for room, errcode, status in (
        ("!nowhere:one.example", "M_NOT_FOUND", 404),
        ("#nowhere:one.example", "M_NOT_FOUND", 404),
        ("#far:away.example", "M_NOT_FOUND", 404),
        ("nonsense", "M_INVALID_PARAM", 400),
    ):
        reached, said = await bob.post("join/" + room.replace("#", "%23"), {})
        assert (reached, said["errcode"]) == (status, errcode)


async def test_knocking(homeserver: Homeserver, alice: Client, bob: Client, carol: Client) -> None:
    rules = {"type": "m.room.join_rules", "content": {"join_rule": "knock"}}
    room_id = await alice.create_room(initial_state=[rules], name="Knock")

    await bob.ok("POST", f"knock/{path(room_id).removeprefix('rooms/')}", json={"reason": "please"})
    knocked = await membership(homeserver, room_id, bob.user_id)
    assert knocked["membership"] == "knock"
    assert "m.room.name" in {event["type"] for event in knocked["stripped"]}

    await alice.invite(room_id, bob)
    await bob.join(room_id)
    assert await refused(carol, room_id, "join") == FORBIDDEN

    closed = await alice.create_room(preset="private_chat")
    status, said = await bob.post(f"knock/{path(closed).removeprefix('rooms/')}", {})
    assert (status, said["errcode"]) == FORBIDDEN


@pytest.mark.parametrize("invite_level", [0, 50])
async def test_a_restricted_room_lets_members_of_another_in(
    homeserver: Homeserver, alice: Client, bob: Client, carol: Client, invite_level: int
) -> None:
    space = await alice.create_room(preset="public_chat")
    allow = [{"type": "m.room_membership", "room_id": space}]
    rules = {"type": "m.room.join_rules", "content": {"join_rule": "restricted", "allow": allow}}
    room_id = await alice.create_room(
        initial_state=[rules], power_level_content_override={"invite": invite_level}
    )
    await bob.join(space)

    await bob.join(room_id)

    content = (await state_of(homeserver, room_id))["m.room.member", bob.user_id]
    assert content["join_authorised_via_users_server"] == alice.user_id
    assert await refused(carol, room_id, "join") == FORBIDDEN
    await alice.invite(room_id, carol)
    await carol.join(room_id)


async def test_names_and_pictures_come_from_the_profile(
    homeserver: Homeserver, alice: Client, bob: Client
) -> None:
    room_id = await alice.create_room()
    await bob.ok("PUT", f"profile/{bob.user_id}/displayname", json={"displayname": "Bob"})

    await alice.invite(room_id, bob)
    assert (await state_of(homeserver, room_id))["m.room.member", bob.user_id]["displayname"] == "Bob"
    await bob.join(room_id)

    assert (await state_of(homeserver, room_id))["m.room.member", bob.user_id]["displayname"] == "Bob"


async def test_a_new_name_does_not_begin_a_new_membership(
    homeserver: Homeserver, alice: Client, bob: Client
) -> None:
    room_id = await alice.create_room(preset="public_chat")
    await bob.join(room_id)
    before = await membership(homeserver, room_id, bob.user_id)

    content = {"membership": "join", "displayname": "Bobby"}
    await bob.set_state(room_id, "m.room.member", content, bob.user_id)

    after = await membership(homeserver, room_id, bob.user_id)
    assert after["since"] == before["since"]
    assert after["position"] > before["position"]
    await bob.leave(room_id)
    await bob.join(room_id)
    assert (await membership(homeserver, room_id, bob.user_id))["since"] > after["position"]


async def test_the_head_counts_the_members(
    homeserver: Homeserver, alice: Client, bob: Client, carol: Client
) -> None:
    async def counts(room_id: str) -> tuple[int, int]:
        async with homeserver.tenant.database.read() as tx:
            row = await tx.fetchrow("SELECT joined, invited FROM rooms WHERE room_id = $1", room_id)
        assert row is not None
        return row["joined"], row["invited"]

    room_id = await alice.create_room(preset="public_chat", invite=[bob.user_id])
    assert await counts(room_id) == (1, 1)
    await bob.join(room_id)
    await carol.join(room_id)
    assert await counts(room_id) == (3, 0)
    await bob.leave(room_id)
    await alice.ok("POST", path(room_id, "ban"), json={"user_id": carol.user_id})
    assert await counts(room_id) == (1, 0)


async def test_guests_come_where_they_are_let_in_and_go_when_they_are_not(
    make_homeserver: MakeHomeserver,
) -> None:
    homeserver = await make_homeserver(registration=Registration(RegistrationMode.OPEN, guests=True))
    alice, guest = await homeserver.user("alice"), homeserver.nobody()
    said = await guest.ok("POST", "register", params={"kind": "guest"}, json={})
    guest.user_id, guest.access_token = said["user_id"], said["access_token"]
    closed = await alice.create_room(preset="public_chat")
    room_id = await alice.create_room(
        preset="public_chat",
        initial_state=[{"type": "m.room.guest_access", "content": {"guest_access": "can_join"}}],
    )

    assert await refused(guest, closed, "join") == (403, "M_GUEST_ACCESS_FORBIDDEN")
    status, said = await guest.put(
        path(closed, "state", "m.room.member", guest.user_id), {"membership": "join"}
    )
    assert (status, said["errcode"]) == (403, "M_GUEST_ACCESS_FORBIDDEN")
    await guest.ok("POST", path(room_id, "join"), json={})
    assert await guest.send(room_id, "may I?")

    await alice.set_state(room_id, "m.room.guest_access", {"guest_access": "forbidden"})

    assert await is_(homeserver, room_id, guest) == "leave"


async def test_who_joins_may_say_more_but_not_who_vouches(alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(preset="public_chat", room_version="11")
    said = {"reason": "hello", "foo": "bar", "membership": "ban", "join_authorised_via_users_server": "x"}
    await bob.ok("POST", path(room_id, "join"), json=said)
    assert await bob.state(room_id, "m.room.member", bob.user_id) == {
        "membership": "join",
        "reason": "hello",
        "foo": "bar",
    }
    changed = {"membership": "join", "displayname": "B", "join_authorised_via_users_server": "unused"}
    await bob.set_state(room_id, "m.room.member", changed, bob.user_id)
    content = await bob.state(room_id, "m.room.member", bob.user_id)
    assert content == {"membership": "join", "displayname": "B"}
