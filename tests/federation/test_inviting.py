"""Inviting users of other servers, and being invited."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from protocol.event_format import parse_pdu
from protocol.events import Event
from protocol.room_versions import version_named
from tests.federation.lying_room import LyingRoom
from tests.federation.plays import VERSIONS, membership, path, same_state, stripped
from tests.fixtures.client import Client, Unexpected
from tests.fixtures.federation import MakeFederated, MakeLying
from tests.fixtures.homeserver import Homeserver
from tests.fixtures.lying_server import Asked, LyingServer


async def invited(client: Client, room_id: str) -> dict[str, Any]:
    """The invite in the client's sync."""
    reply = await client.sync_until(lambda reply: room_id in reply["rooms"]["invite"])
    return {e["type"]: e for e in reply["rooms"]["invite"][room_id]["invite_state"]["events"]}


@VERSIONS
async def test_an_invite_and_its_acceptance(make_federated: MakeFederated, version: str) -> None:
    one, two = await make_federated(), await make_federated()
    alice, bob = await one.user("alice"), await two.user("bob")
    room_id = await alice.create_room(
        preset="private_chat", room_version=version, name="Secret", topic="Hush"
    )
    await bob.sync()

    await alice.invite(room_id, bob)

    shown = await invited(bob, room_id)
    assert shown["m.room.name"]["content"] == {"name": "Secret"}
    assert shown["m.room.create"]["content"]["room_version"] == version
    assert shown["m.room.member"]["state_key"] in (alice.user_id, bob.user_id)
    fields = {"type", "state_key", "sender", "content"}
    own = {"event_id", "origin_server_ts"}  # when it was said is told of the invite itself
    assert all(event.keys() - own == fields for event in shown.values())
    assert all(event.keys() == fields for kind, event in shown.items() if kind != "m.room.member")
    assert (await membership(one, room_id, bob.user_id))["membership"] == "invite"

    await bob.join(room_id)
    state = await same_state(room_id, one, two)
    assert state["m.room.member", bob.user_id]["membership"] == "join"


async def test_the_invite_in_the_room_is_signed_by_both(make_federated: MakeFederated) -> None:
    one, two = await make_federated(), await make_federated()
    alice, bob = await one.user("alice"), await two.user("bob")
    room_id = await alice.create_room(preset="private_chat")

    await alice.invite(room_id, bob)

    async with one.tenant.database.read() as tx:
        json = await tx.fetchval(
            "SELECT convert_from(json, 'UTF8')::json -> 'signatures' FROM events WHERE room_id = $1 AND state_key = $2",
            room_id,
            bob.user_id,
        )
    assert one.name in json
    assert two.name in json


async def test_the_room_may_go_on_while_the_guests_server_signs(make_federated: MakeFederated) -> None:
    one, two = await make_federated(), await make_federated()
    alice = await one.user("alice")
    guests = [await two.user(f"guest{n}") for n in range(4)]
    room_id = await alice.create_room(preset="private_chat")

    await asyncio.gather(
        *(alice.invite(room_id, guest) for guest in guests),
        *(alice.send(room_id, f"message {n}") for n in range(20)),
    )

    for guest in guests:
        assert (await membership(one, room_id, guest.user_id))["membership"] == "invite"
        assert (await membership(two, room_id, guest.user_id))["membership"] == "invite"
    await guests[0].join(room_id)
    await same_state(room_id, one, two)


async def test_inviting_while_making_the_room(make_federated: MakeFederated) -> None:
    one, two = await make_federated(), await make_federated()
    alice, bob = await one.user("alice"), await two.user("bob")

    room_id = await alice.create_room(preset="trusted_private_chat", invite=[bob.user_id], is_direct=True)

    async with two.tenant.database.read() as tx:
        content = await tx.fetchval(
            "SELECT convert_from(json, 'UTF8')::json -> 'content' ->> 'is_direct' FROM events WHERE state_key = $1",
            bob.user_id,
        )
    assert content == "true"
    await bob.join(room_id)
    await same_state(room_id, one, two)


async def test_a_guest_who_wants_no_invites(make_federated: MakeFederated) -> None:
    one, two = await make_federated(), await make_federated()
    alice, bob = await one.user("alice"), await two.user("bob")
    room_id = await alice.create_room(preset="private_chat")
    await bob.ok(
        "PUT",
        f"user/{bob.user_id}/account_data/m.invite_permission_config",
        json={"default_action": "block"},
    )

    status, said = await alice.post(path(room_id, "invite"), {"user_id": bob.user_id})

    assert (status, said["errcode"]) == (403, "M_INVITE_BLOCKED")
    assert await membership(one, room_id, bob.user_id) == {}
    assert await membership(two, room_id, bob.user_id) == {}


async def test_a_guest_who_is_not_there(make_federated: MakeFederated) -> None:
    one, two = await make_federated(), await make_federated()
    alice = await one.user("alice")
    room_id = await alice.create_room(preset="private_chat")

    status, said = await alice.post(path(room_id, "invite"), {"user_id": f"@nobody:{two.name}"})
    assert (status, said["errcode"]) == (404, "M_NOT_FOUND")
    status, _ = await alice.post(path(room_id, "invite"), {"user_id": "@nobody:nowhere.invalid"})
    assert status == 502
    assert await membership(one, room_id, f"@nobody:{two.name}") == {}


async def test_who_may_not_invite_does_not_trouble_the_other_server(make_federated: MakeFederated) -> None:
    one, two = await make_federated(), await make_federated()
    alice, mallory, bob = await one.user("alice"), await one.user("mallory"), await two.user("bob")
    room_id = await alice.create_room(preset="private_chat")

    with pytest.raises(Unexpected, match="403"):
        await mallory.invite(room_id, bob)
    assert await membership(two, room_id, bob.user_id) == {}


async def test_an_invite_again_is_the_same_invite(make_federated: MakeFederated) -> None:
    one, two = await make_federated(), await make_federated()
    alice, bob = await one.user("alice"), await two.user("bob")
    room_id = await alice.create_room(preset="private_chat")
    await alice.invite(room_id, bob)
    first = await membership(one, room_id, bob.user_id)

    await alice.invite(room_id, bob)

    assert await membership(one, room_id, bob.user_id) == first
    assert "m.room.create" in await stripped(two, room_id, bob)


async def invite_by(
    server: LyingServer,
    one: Homeserver,
    room: LyingRoom,
    guest: str,
    *,
    shown: list[Any] | None = None,
    room_version: str | None = None,
    event: Event | None = None,
    **changes: Any,
) -> tuple[int, Any]:
    """What our homeserver answers to an invite of the liar's."""
    invite = event or room.draft("m.room.member", {"membership": "invite"}, guest)
    body = {
        "room_version": room_version or room.version.id,
        "event": {**invite.json, **changes},
        "invite_room_state": [e.json for e in room.state.values()] if shown is None else shown,
    }
    return await server.request(one, "PUT", room.path("v2/invite", invite.event_id), body)


@pytest.mark.parametrize("version", ["1", "6", "11", "12"])
async def test_an_invite_is_signed_and_told(
    make_federated: MakeFederated, make_lying: MakeLying, version: str
) -> None:
    one, server = await make_federated(), await make_lying()
    bob = await one.user("bob")
    room = LyingRoom(server, version)

    status, said = await invite_by(server, one, room, bob.user_id)

    assert status == 200
    assert set(said["event"]["signatures"]) == {one.name, server.name}
    assert room.id in (await bob.sync())["rooms"]["invite"]


async def test_what_is_no_invite_of_theirs_is_not_signed(
    make_federated: MakeFederated, make_lying: MakeLying
) -> None:
    one, server = await make_federated(), await make_lying()
    bob = await one.user("bob")
    room = LyingRoom(server)
    join = room.draft("m.room.member", {"membership": "join"}, bob.user_id)
    ban = room.draft("m.room.member", {"membership": "ban"}, bob.user_id)
    message = room.draft("m.room.message", {"membership": "invite"}, bob.user_id)
    by_bob = room.draft("m.room.member", {"membership": "invite"}, bob.user_id, sender=bob.user_id)
    elsewhere = room.draft("m.room.member", {"membership": "invite"}, "@bob:elsewhere.example")
    no_user = room.draft("m.room.member", {"membership": "invite"}, "bob")
    refused = (400, "M_INVALID_PARAM")
    lies: list[tuple[dict[str, Any], tuple[int, str]]] = [
        *(({"event": event}, refused) for event in (join, ban, message, by_bob, elsewhere, no_user)),
        ({"signatures": {server.name: {server.key.name: "A" * 86}}}, refused),
        ({"signatures": {}}, refused),
        ({"content": {"membership": "invite", "reason": "not what was hashed"}}, refused),
        ({"room_id": "!other:room"}, refused),
        ({"depth": "deep"}, refused),
        ({"room_version": "99"}, (400, "M_INCOMPATIBLE_ROOM_VERSION")),
    ]

    for lie, expected in lies:
        status, said = await invite_by(server, one, room, bob.user_id, **lie)
        assert (status, said["errcode"]) == expected, lie
    assert await membership(one, room.id, bob.user_id) == {}
    unknown = await invite_by(server, one, room, f"@nobody:{one.name}")
    assert (unknown[0], unknown[1]["errcode"]) == (404, "M_NOT_FOUND")


async def test_version_12_must_show_the_room(make_federated: MakeFederated, make_lying: MakeLying) -> None:
    one, server = await make_federated(), await make_lying()
    bob = await one.user("bob")
    room, other = LyingRoom(server, "12"), LyingRoom(server, "12")
    whole = [event.json for event in room.state.values()]
    create = room.state["m.room.create", ""].json
    refused = (400, "M_INVALID_PARAM")
    for shown in (
        [],
        [pdu for pdu in whole if pdu["type"] != "m.room.create"],
        [event.json for event in other.state.values()],
        [*whole, other.put("m.room.name", {"name": "x"}, "").json],
        [{name: pdu[name] for name in ("type", "state_key", "sender", "content")} for pdu in whole],
        [{**pdu, "signatures": {}} for pdu in whole],
        [create, 7],
    ):
        status, said = await invite_by(server, one, room, bob.user_id, shown=shown)
        assert (status, said["errcode"]) == refused, shown
    assert await membership(one, room.id, bob.user_id) == {}


async def test_old_servers_may_show_stripped_state(
    make_federated: MakeFederated, make_lying: MakeLying
) -> None:
    one, server = await make_federated(), await make_lying()
    bob = await one.user("bob")
    room = LyingRoom(server, "10")
    room.put("m.room.name", {"name": "Old"}, "")
    stripped_events = [
        {name: event.json[name] for name in ("type", "state_key", "sender", "content")}
        for event in room.state.values()
    ]
    forged = {**room.state["m.room.name", ""].json, "type": "m.room.topic", "content": {"topic": "forged"}}

    status, _ = await invite_by(server, one, room, bob.user_id, shown=[*stripped_events, forged, 7, {}])

    assert status == 200
    shown = await invited(bob, room.id)
    assert shown["m.room.name"]["content"] == {"name": "Old"}
    assert "m.room.topic" not in shown


async def test_the_older_endpoint(make_federated: MakeFederated, make_lying: MakeLying) -> None:
    one, server = await make_federated(), await make_lying()
    bob = await one.user("bob")
    room = LyingRoom(server, "1")
    invite = room.draft("m.room.member", {"membership": "invite"}, bob.user_id)
    unsigned = {"invite_room_state": [event.json for event in room.state.values()]}

    status, said = await server.request(
        one, "PUT", room.path("v1/invite", invite.event_id), {**invite.json, "unsigned": unsigned}
    )

    assert status == 200
    assert said[0] == 200
    assert set(said[1]["event"]["signatures"]) == {one.name, server.name}
    assert room.id in (await bob.sync())["rooms"]["invite"]


async def test_the_same_invite_again_does_not_come_back_after_a_refusal(
    make_federated: MakeFederated, make_lying: MakeLying
) -> None:
    one, server = await make_federated(), await make_lying()
    bob = await one.user("bob")
    room = LyingRoom(server)
    invite = room.draft("m.room.member", {"membership": "invite"}, bob.user_id)
    assert (await invite_by(server, one, room, bob.user_id, event=invite))[0] == 200
    await bob.leave(room.id)  # the liar does not answer

    assert (await invite_by(server, one, room, bob.user_id, event=invite))[0] == 200

    assert (await membership(one, room.id, bob.user_id))["membership"] == "leave"


@pytest.mark.parametrize("lie", ["unsigned", "forged", "another event", "nothing", "blocked", "broken"])
async def test_a_guests_server_that_does_not_sign(
    make_federated: MakeFederated, make_lying: MakeLying, lie: str
) -> None:
    one, server = await make_federated(), await make_lying()
    alice = await one.user("alice")
    room_id = await alice.create_room(preset="private_chat")
    guest = f"@guest:{server.name}"

    def answer(asked: Asked) -> Any:
        event = asked.json["event"]
        forged = {**event["signatures"], server.name: {server.key.name: "A" * 86}}
        return {
            "unsigned": {"event": event},
            "forged": {"event": {**event, "signatures": forged}},
            "another event": {"event": {"type": "m.room.member", "signatures": {server.name: 7}}},
            "nothing": {},
            "blocked": (403, {"errcode": "M_INVITE_BLOCKED", "error": "no"}),
            "broken": (400, {"errcode": "M_INVALID_PARAM", "error": "no"}),
        }[lie]

    server.on("PUT", "/_matrix/federation/v2/invite/", answer)

    status, said = await alice.post(path(room_id, "invite"), {"user_id": guest})

    expected = (403, "M_INVITE_BLOCKED") if lie == "blocked" else (502, "M_UNKNOWN")
    assert (status, said["errcode"]) == expected
    assert await membership(one, room_id, guest) == {}


async def test_an_honest_server_signs_nothing_but_the_invite(
    make_federated: MakeFederated, make_lying: MakeLying
) -> None:
    one, server = await make_federated(), await make_lying()
    alice = await one.user("alice")
    room_id = await alice.create_room(preset="private_chat", room_version="12", name="Secret")
    guest = f"@guest:{server.name}"

    def answer(asked: Asked) -> Any:
        event = parse_pdu(asked.json["event"], version_named("12"))
        return {"event": {**server.signed(event).json, "content": {"membership": "ban"}}}

    server.on("PUT", "/_matrix/federation/v2/invite/", answer)

    await alice.invite(room_id, guest)

    assert (await membership(one, room_id, guest))["membership"] == "invite"
    sent = next(asked for asked in server.asked if "/v2/invite/" in asked.path).json
    shown = [parse_pdu(pdu, version_named("12")) for pdu in sent["invite_room_state"]]
    assert {event.type for event in shown} >= {"m.room.create", "m.room.name", "m.room.join_rules"}
