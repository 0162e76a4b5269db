"""Joining rooms of other servers."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.federation.plays import VERSIONS, join_through, membership, public_room, refusal, same_state
from tests.fixtures.federation import MakeFederated, MakeLying
from tests.fixtures.homeserver import Homeserver


@VERSIONS
async def test_a_public_room_is_joined_through_another_server(
    make_federated: MakeFederated, version: str
) -> None:
    one, two = await make_federated(), await make_federated()
    alice, bob = await one.user("alice"), await two.user("bob")
    room_id = await public_room(alice, version, name="Hall", topic="Talk")

    await join_through(bob, room_id, one)

    state = await same_state(room_id, one, two)
    assert state["m.room.member", bob.user_id]["membership"] == "join"
    room = (await bob.sync())["rooms"]["join"][room_id]
    shown = {(e["type"], e["state_key"]) for e in room["state"]["events"] + room["timeline"]["events"]}
    assert shown == set(state)
    assert room["summary"]["m.joined_member_count"] == 2


@VERSIONS
async def test_both_talk_after_the_join(make_federated: MakeFederated, version: str) -> None:
    one, two = await make_federated(), await make_federated()
    alice, bob = await one.user("alice"), await two.user("bob")
    room_id = await public_room(alice, version)
    await join_through(bob, room_id, one)
    await alice.sync()

    said = await bob.send(room_id, "hello")
    heard = await alice.sync_until(
        lambda reply: any(
            event["event_id"] == said
            for event in reply.get("rooms", {"join": {}})["join"].get(room_id, {"timeline": {"events": []}})[
                "timeline"
            ]["events"]
        )
    )
    assert heard
    await same_state(room_id, one, two)


async def test_the_profile_goes_along(make_federated: MakeFederated) -> None:
    one, two = await make_federated(), await make_federated()
    alice, bob = await one.user("alice"), await two.user("bob")
    await bob.ok("PUT", f"profile/{bob.user_id}/displayname", json={"displayname": "Bob"})
    room_id = await public_room(alice)

    await join_through(bob, room_id, one)

    assert (await same_state(room_id, one, two))["m.room.member", bob.user_id]["displayname"] == "Bob"


async def test_by_alias(make_federated: MakeFederated) -> None:
    one, two = await make_federated(), await make_federated()
    alice, bob = await one.user("alice"), await two.user("bob")
    room_id = await public_room(alice, room_alias_name="hall")

    assert await bob.join(f"#hall:{one.name}") == room_id
    await same_state(room_id, one, two)


async def test_two_of_one_server_join_at_the_same_time(make_federated: MakeFederated) -> None:
    one, two = await make_federated(), await make_federated()
    alice, bob, carol = await one.user("alice"), await two.user("bob"), await two.user("carol")
    room_id = await public_room(alice)

    await asyncio.gather(join_through(bob, room_id, one), join_through(carol, room_id, one))

    state = await same_state_soon(room_id, one, two)
    assert state["m.room.member", carol.user_id]["membership"] == "join"
    assert state["m.room.member", bob.user_id]["membership"] == "join"


async def same_state_soon(room_id: str, *servers: Homeserver) -> dict[tuple[str, str], dict[str, Any]]:
    """The state once what the second one's join told has arrived."""
    async with asyncio.timeout(60):
        while True:
            try:
                return await same_state(room_id, *servers)
            except AssertionError:
                await asyncio.sleep(0.05)


async def test_when_all_have_left_the_room_is_entered_anew(make_federated: MakeFederated) -> None:
    one, two = await make_federated(), await make_federated()
    alice, bob = await one.user("alice"), await two.user("bob")
    room_id = await public_room(alice)
    await join_through(bob, room_id, one)
    await bob.leave(room_id)
    async with asyncio.timeout(60):
        while (await membership(one, room_id, bob.user_id))["membership"] != "leave":
            await asyncio.sleep(0.05)
    await alice.set_state(room_id, "m.room.name", {"name": "New"})

    await join_through(bob, room_id, one)

    state = await same_state(room_id, one, two)
    assert state["m.room.name", ""] == {"name": "New"}


async def test_the_next_server_is_asked_when_one_is_down(make_federated: MakeFederated) -> None:
    one, two = await make_federated(), await make_federated()
    alice, bob = await one.user("alice"), await two.user("bob")
    room_id = await public_room(alice)

    # The last as clients called it before v1.12.
    via = f"via=nobody.invalid&via={two.name}&server_name={one.name}"
    await bob.ok("POST", f"rooms/{room_id}/join?{via}", json={})

    await same_state(room_id, one, two)


async def test_who_may_not_join_is_told_so(make_federated: MakeFederated) -> None:
    one, two = await make_federated(), await make_federated()
    alice, bob = await one.user("alice"), await two.user("bob")
    private = await alice.create_room(preset="private_chat")
    public = await public_room(alice)
    await alice.ok("POST", f"rooms/{public}/ban", json={"user_id": bob.user_id})

    assert await refusal(bob, private, "join", one) == (403, "M_FORBIDDEN")
    assert await refusal(bob, public, "join", one) == (403, "M_FORBIDDEN")
    assert await refusal(bob, "!nowhere:example.org", "join", one) == (404, "M_NOT_FOUND")
    assert await refusal(bob, private, "join") == (404, "M_NOT_FOUND")


async def test_one_refusal_may_be_for_want_of_news(
    make_federated: MakeFederated, make_lying: MakeLying
) -> None:
    one, two = await make_federated(), await make_federated()
    liars = [await make_lying() for _ in range(3)]
    for liar in liars:
        liar.on(
            "GET",
            "/_matrix/federation/v1/make_join",
            lambda _: (403, {"errcode": "M_FORBIDDEN", "error": "no"}),
        )
    alice, bob = await one.user("alice"), await two.user("bob")
    room_id, other = await public_room(alice), await public_room(alice)

    via = "&".join(f"via={server.name}" for server in (*liars, one))
    status, said = await bob.post(f"rooms/{other}/join?{via}", {})
    assert (status, said["errcode"]) == (403, "M_FORBIDDEN")
    assert liars[2].asked == []
    await bob.ok("POST", f"rooms/{room_id}/join?via={liars[0].name}&via={one.name}", json={})

    await same_state(room_id, one, two)


async def test_a_room_that_does_not_federate(make_federated: MakeFederated) -> None:
    one, two = await make_federated(), await make_federated()
    alice, bob = await one.user("alice"), await two.user("bob")
    room_id = await public_room(alice, creation_content={"m.federate": False})

    assert await refusal(bob, room_id, "join", one) == (403, "M_FORBIDDEN")
    status, said = await alice.post(f"rooms/{room_id}/invite", {"user_id": bob.user_id})
    assert (status, said["errcode"]) == (403, "M_FORBIDDEN")
    assert await membership(two, room_id, bob.user_id) == {}


async def test_two_processes_enter_at_the_same_time(make_federated: MakeFederated, redis_url: str) -> None:
    one, two = await make_federated(), await make_federated(redis_url=redis_url)
    three = await make_federated(beside=two, redis_url=redis_url)
    alice, bob = await one.user("alice"), await two.user("bob")
    carol = await three.user("carol")
    room_id = await public_room(alice)

    await asyncio.gather(join_through(bob, room_id, one), join_through(carol, room_id, one))

    state = await same_state_soon(room_id, one, two)
    assert state["m.room.member", carol.user_id]["membership"] == "join"
    assert state["m.room.member", bob.user_id]["membership"] == "join"
