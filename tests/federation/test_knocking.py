"""Knocking upon rooms of other servers."""

from __future__ import annotations

import pytest

from tests.federation.plays import membership, path, refusal, same_state, stripped
from tests.fixtures.federation import MakeFederated

RULES = {"type": "m.room.join_rules", "content": {"join_rule": "knock"}}


@pytest.mark.parametrize("version", ["7", "10", "12"])
async def test_a_knock_is_answered(make_federated: MakeFederated, version: str) -> None:
    one, two = await make_federated(), await make_federated()
    alice, bob = await one.user("alice"), await two.user("bob")
    room_id = await alice.create_room(room_version=version, initial_state=[RULES], name="Club")
    await bob.sync()

    await bob.ok("POST", f"knock/{path(room_id)[6:]}?via={one.name}", json={"reason": "please"})

    assert (await membership(one, room_id, bob.user_id))["membership"] == "knock"
    shown = await stripped(two, room_id, bob)
    assert shown["m.room.name"]["content"] == {"name": "Club"}
    assert shown["m.room.create"]["content"]["room_version"] == version
    knocked = (await bob.sync())["rooms"]["knock"][room_id]["knock_state"]["events"]
    assert any(e["state_key"] == bob.user_id and e["content"]["reason"] == "please" for e in knocked)

    await alice.invite(room_id, bob)
    assert room_id in (await bob.sync())["rooms"]["invite"]
    await bob.join(room_id)
    await same_state(room_id, one, two)


async def test_a_knock_is_taken_back(make_federated: MakeFederated) -> None:
    one, two = await make_federated(), await make_federated()
    alice, bob = await one.user("alice"), await two.user("bob")
    room_id = await alice.create_room(room_version="11", initial_state=[RULES])
    await bob.ok("POST", f"knock/{path(room_id)[6:]}?via={one.name}", json={})

    await bob.leave(room_id)

    assert (await membership(one, room_id, bob.user_id))["membership"] == "leave"
    assert (await membership(two, room_id, bob.user_id))["membership"] == "leave"


async def test_rooms_that_take_no_knocks(make_federated: MakeFederated) -> None:
    one, two = await make_federated(), await make_federated()
    alice, bob = await one.user("alice"), await two.user("bob")
    private = await alice.create_room(preset="private_chat")
    old = await alice.create_room(preset="private_chat", room_version="6")

    for room_id in (private, old):
        status, said = await bob.post(f"knock/{path(room_id)[6:]}?via={one.name}", {})
        assert (status, said["errcode"]) == (403, "M_FORBIDDEN")
    assert await refusal(bob, private, "join", one) == (403, "M_FORBIDDEN")
