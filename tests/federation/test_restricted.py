"""Rooms that let the members of other rooms in, through servers that can see who is in those."""

from __future__ import annotations

from typing import Any

import pytest

from tests.client_api.stored import events_of
from tests.federation.plays import join_through, public_room, refusal, same_state
from tests.fixtures.client import Client
from tests.fixtures.federation import MakeFederated


async def restricted_room(creator: Client, space: str, version: str, rule: str = "restricted") -> str:
    allow = [{"type": "m.room_membership", "room_id": space}]
    rules = {"type": "m.room.join_rules", "content": {"join_rule": rule, "allow": allow}}
    return await creator.create_room(room_version=version, initial_state=[rules])


async def join_event(homeserver: Any, room_id: str, user_id: str) -> dict[str, Any]:
    found = [event["json"] for event in await events_of(homeserver, room_id) if event["state_key"] == user_id]
    return dict(found[-1])


@pytest.mark.parametrize(
    ("version", "rule"),
    [("8", "restricted"), ("10", "knock_restricted"), ("11", "restricted"), ("12", "restricted")],
)
async def test_a_member_of_the_space_is_vouched_for(
    make_federated: MakeFederated, version: str, rule: str
) -> None:
    one, two = await make_federated(), await make_federated()
    alice, bob = await one.user("alice"), await two.user("bob")
    space = await public_room(alice, version)
    room_id = await restricted_room(alice, space, version, rule)
    assert await refusal(bob, room_id, "join", one) == (403, "M_FORBIDDEN")
    await join_through(bob, space, one)

    await join_through(bob, room_id, one)

    for homeserver in (one, two):
        json = await join_event(homeserver, room_id, bob.user_id)
        assert json["content"]["join_authorised_via_users_server"] == alice.user_id
        assert set(json["signatures"]) == {one.name, two.name}
    await same_state(room_id, one, two)


async def test_who_is_invited_needs_nobody_to_vouch(make_federated: MakeFederated) -> None:
    one, two = await make_federated(), await make_federated()
    alice, bob = await one.user("alice"), await two.user("bob")
    space = await public_room(alice)
    room_id = await restricted_room(alice, space, "11")
    await alice.invite(room_id, bob)

    await bob.join(room_id)

    json = await join_event(two, room_id, bob.user_id)
    assert "join_authorised_via_users_server" not in json["content"]


async def test_a_server_without_anybody_who_may_invite_sends_on(make_federated: MakeFederated) -> None:
    """The second server is in the room, but nobody there may invite: the first one is asked."""
    one, two, three = [await make_federated() for _ in range(3)]
    alice, bob, carol = await one.user("alice"), await two.user("bob"), await three.user("carol")
    space = await public_room(alice)
    room_id = await restricted_room(alice, space, "11")
    await alice.set_state(room_id, "m.room.power_levels", {"users": {alice.user_id: 100}, "invite": 50})
    await join_through(bob, space, one)
    await join_through(bob, room_id, one)
    await join_through(carol, space, one)

    assert await refusal(carol, room_id, "join", two) == (400, "M_UNABLE_TO_GRANT_JOIN")
    await join_through(carol, room_id, two, one)

    json = await join_event(three, room_id, carol.user_id)
    assert json["content"]["join_authorised_via_users_server"] == alice.user_id


async def test_another_user_of_a_server_in_the_room_joins_through_the_one_that_can_vouch(
    make_federated: MakeFederated,
) -> None:
    one, two = await make_federated(), await make_federated()
    alice, bob, dan = await one.user("alice"), await two.user("bob"), await two.user("dan")
    space = await public_room(alice)
    room_id = await restricted_room(alice, space, "11")
    await alice.set_state(room_id, "m.room.power_levels", {"users": {alice.user_id: 100}, "invite": 50})
    for user in (bob, dan):
        await join_through(user, space, one)
    await join_through(bob, room_id, one)

    await dan.join(room_id)

    json = await join_event(two, room_id, dan.user_id)
    assert json["content"]["join_authorised_via_users_server"] == alice.user_id
    assert (await join_event(one, room_id, dan.user_id))["content"] == json["content"]


async def test_a_space_that_the_server_does_not_know(make_federated: MakeFederated) -> None:
    one, two = await make_federated(), await make_federated()
    alice, bob = await one.user("alice"), await two.user("bob")
    room_id = await restricted_room(alice, "!unknown:example.org", "11")

    assert await refusal(bob, room_id, "join", one) == (400, "M_UNABLE_TO_AUTHORISE_JOIN")
