"""Third-party invites: the identity server tells that an address has become a user's, and an invite comes of it."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from protocol.signing import SigningKey, sign_json
from tests.federation.plays import join_through, membership, public_room, same_state
from tests.fixtures.client import Client
from tests.fixtures.federation import MakeFederated, MakeLying
from tests.fixtures.homeserver import Homeserver
from tests.fixtures.lying_server import LyingServer

IDENTITY = SigningKey.from_seed("ed25519:0", b"I" * 32)
ONBIND = "/_matrix/federation/v1/3pid/onbind"


VALIDITY = "/_matrix/identity/v2/pubkey/isvalid"


@pytest.fixture
async def identity(make_lying: MakeLying) -> LyingServer:
    """An identity server that stands by its key."""
    server = await make_lying()
    server.on("GET", VALIDITY, lambda _: {"valid": True})
    return server


async def pledged(client: Client, room_id: str, identity: LyingServer, **more: Any) -> None:
    """Invites somebody of whom only an address is known."""
    content = {
        "display_name": "b...@example.org",
        "key_validity_url": f"https://{identity.name}{VALIDITY}",
        "public_key": IDENTITY.verify_key.to_base64(),
        **more,
    }
    await client.set_state(room_id, "m.room.third_party_invite", content, "token")


def bound(room_id: str, sender: str, guest: str, token: str = "token", **more: Any) -> dict[str, Any]:
    """What the identity server tells the guest's homeserver."""
    signed = sign_json({"mxid": guest, "token": token}, "id.example", IDENTITY)
    invite = {
        "medium": "email",
        "address": "bob@example.org",
        "mxid": guest,
        "room_id": room_id,
        "sender": sender,
        "signed": {**signed, **more},
    }
    return {"medium": "email", "address": "bob@example.org", "mxid": guest, "invites": [invite]}


@pytest.mark.parametrize("method", ["PUT", "POST"])
async def test_in_a_room_of_another_server(
    make_federated: MakeFederated, identity: LyingServer, method: str
) -> None:
    one, two = await make_federated(), await make_federated()
    alice, bob = await one.user("alice"), await two.user("bob")
    room_id = await alice.create_room(preset="private_chat", name="Secret")
    await pledged(alice, room_id, identity)

    await two.nobody().ok(method, ONBIND, json=bound(room_id, alice.user_id, bob.user_id))

    assert (await membership(one, room_id, bob.user_id))["membership"] == "invite"
    assert room_id in (await bob.sync())["rooms"]["invite"]
    await bob.join(room_id)
    await same_state(room_id, one, two)


async def test_in_a_room_that_the_guests_server_is_in(
    make_federated: MakeFederated, identity: LyingServer
) -> None:
    one, two = await make_federated(), await make_federated()
    alice, carol, bob = await one.user("alice"), await two.user("carol"), await two.user("bob")
    room_id = await public_room(alice)
    await pledged(alice, room_id, identity)
    await join_through(carol, room_id, one)

    await two.nobody().ok("PUT", ONBIND, json=bound(room_id, alice.user_id, bob.user_id))

    assert (await membership(two, room_id, bob.user_id))["membership"] == "invite"


async def nothing_came_of(
    one: Homeserver, two: Homeserver, room_id: str, body: dict[str, Any], guest: str
) -> None:
    await two.nobody().ok("PUT", ONBIND, json=body)
    for homeserver in (one, two):
        assert await membership(homeserver, room_id, guest) == {}


async def test_what_the_identity_server_did_not_sign(
    make_federated: MakeFederated, identity: LyingServer
) -> None:
    one, two = await make_federated(), await make_federated()
    alice, bob = await one.user("alice"), await two.user("bob")
    room_id = await alice.create_room(preset="private_chat")
    await pledged(alice, room_id, identity)
    guest, sender = bob.user_id, alice.user_id
    forged = {"signatures": {"id.example": {"ed25519:0": "A" * 86}}}

    await nothing_came_of(one, two, room_id, bound(room_id, sender, guest, **forged), guest)
    await nothing_came_of(one, two, room_id, bound(room_id, sender, guest, "another token"), guest)
    await nothing_came_of(one, two, room_id, bound(room_id, sender, "@bob:elsewhere.example"), guest)
    await nothing_came_of(one, two, room_id, bound(room_id, bob.user_id, guest), guest)
    await nothing_came_of(one, two, room_id, bound("!nowhere:x", sender, guest), guest)
    await nothing_came_of(one, two, room_id, bound(room_id, sender, guest, mxid=sender), guest)


async def test_what_another_server_may_not_exchange(
    make_federated: MakeFederated, make_lying: MakeLying, identity: LyingServer
) -> None:
    one, server = await make_federated(), await make_lying()
    alice = await one.user("alice")
    room_id = await alice.create_room(preset="private_chat")
    await pledged(alice, room_id, identity)
    guest = f"@guest:{server.name}"

    async def exchanged(signed: Any, state_key: str = guest, **more: Any) -> tuple[int, str]:
        body = {
            "type": "m.room.member",
            "room_id": room_id,
            "sender": alice.user_id,
            "state_key": state_key,
            "content": {
                "membership": "invite",
                "third_party_invite": {"display_name": "x", "signed": signed},
            },
            **more,
        }
        path = f"/_matrix/federation/v1/exchange_third_party_invite/{room_id}"
        status, said = await server.request(one, "PUT", path, body)
        return status, said.get("errcode", "")

    good = bound(room_id, alice.user_id, guest)["invites"][0]["signed"]
    assert await exchanged({}) == (403, "M_FORBIDDEN")
    assert await exchanged({**good, "signatures": {}}) == (403, "M_FORBIDDEN")
    assert await exchanged(good, "@bob:elsewhere.example") == (403, "M_FORBIDDEN")
    assert await exchanged(good, type="m.room.message") == (400, "M_INVALID_PARAM")
    assert await exchanged(good, room_id="!other:x") == (400, "M_INVALID_PARAM")
    assert await exchanged(7) == (400, "M_INVALID_PARAM")
    assert await membership(one, room_id, guest) == {}


def _exchange(room_id: str, sender: str, guest: str) -> dict[str, Any]:
    signed = bound(room_id, sender, guest)["invites"][0]["signed"]
    content = {"membership": "invite", "third_party_invite": {"display_name": "x", "signed": signed}}
    return {
        "type": "m.room.member",
        "room_id": room_id,
        "sender": sender,
        "state_key": guest,
        "content": content,
    }


@pytest.mark.parametrize(
    ("answer", "refusal"),
    [
        ({"valid": False}, (403, "M_FORBIDDEN")),
        ({}, (502, "M_UNKNOWN")),
        ({"valid": "yes"}, (502, "M_UNKNOWN")),
        ((500, {}), (502, "M_UNKNOWN")),
        (b"[" * 300_000, (502, "M_UNKNOWN")),
    ],
)
async def test_a_key_that_nobody_stands_by_invites_nobody(
    make_federated: MakeFederated,
    make_lying: MakeLying,
    identity: LyingServer,
    answer: Any,
    refusal: tuple[int, str],
) -> None:
    one, server = await make_federated(), await make_lying()
    alice, guest = await one.user("alice"), f"@guest:{server.name}"
    room_id = await alice.create_room(preset="private_chat")
    await pledged(alice, room_id, identity)
    identity.on("GET", VALIDITY, lambda _: answer)

    path = f"/_matrix/federation/v1/exchange_third_party_invite/{room_id}"
    status, said = await server.request(one, "PUT", path, _exchange(room_id, alice.user_id, guest))

    assert (status, said["errcode"]) == refusal
    assert await membership(one, room_id, guest) == {}
    (asked,) = [asked for asked in identity.asked if asked.path == VALIDITY]
    assert asked.query == f"public_key={quote(IDENTITY.verify_key.to_base64(), safe='')}"


async def test_of_two_keys_one_is_enough(make_federated: MakeFederated, identity: LyingServer) -> None:
    one, two = await make_federated(), await make_federated()
    alice, bob = await one.user("alice"), await two.user("bob")
    room_id = await alice.create_room(preset="private_chat")
    key = {"public_key": IDENTITY.verify_key.to_base64()}
    unreachable = "https://127.0.0.1:1/valid"
    await pledged(alice, room_id, identity, key_validity_url=unreachable, public_keys=[key])

    await two.nobody().ok("PUT", ONBIND, json=bound(room_id, alice.user_id, bob.user_id))

    assert (await membership(one, room_id, bob.user_id))["membership"] == "invite"


async def test_no_private_address_is_asked_about_a_key(
    make_federated: MakeFederated, identity: LyingServer
) -> None:
    one = await make_federated(federation={"allowed_private_networks": ()})
    alice, bob = await one.user("alice"), await one.user("bob")
    room_id = await alice.create_room(preset="private_chat")
    await pledged(alice, room_id, identity)

    await one.nobody().ok("PUT", ONBIND, json=bound(room_id, alice.user_id, bob.user_id))

    assert await membership(one, room_id, bob.user_id) == {}
    assert not identity.asked
