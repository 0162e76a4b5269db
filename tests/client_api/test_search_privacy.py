"""Search shows only what its user may see, and does not say that there is more."""

from __future__ import annotations

import pytest

from tests.client_api.searching import edit, found, search
from tests.fixtures.client import Client
from tests.fixtures.homeserver import Homeserver


async def test_strangers_find_nothing(alice: Client, bob: Client) -> None:
    room = await alice.create_room(preset="public_chat")
    await alice.send(room, "cake")
    for asked in ({}, {"filter": {"rooms": [room]}}, {"include_state": True}):
        nothing = await search(bob, "cake", **asked)
        assert (nothing["results"], nothing["count"], nothing["highlights"]) == ([], 0, [])


async def test_those_who_are_invited_find_nothing(alice: Client, bob: Client) -> None:
    room = await alice.create_room(invite=[bob.user_id])
    await alice.send(room, "cake")
    assert await found(bob, "cake") == []
    await bob.join(room)
    assert len(await found(bob, "cake")) == 1  # the history of the room is shared


@pytest.mark.parametrize(
    ("visibility", "expected"), [("joined", 1), ("invited", 2), ("shared", 3), ("world_readable", 3)]
)
async def test_what_was_said_before_one_came_is_found_as_the_history_is_visible(
    alice: Client, bob: Client, visibility: str, expected: int
) -> None:
    state = {
        "type": "m.room.history_visibility",
        "state_key": "",
        "content": {"history_visibility": visibility},
    }
    room = await alice.create_room(initial_state=[state])
    await alice.send(room, "cake before the invite")
    await alice.invite(room, bob.user_id)
    await alice.send(room, "cake before the join")
    await bob.join(room)
    await alice.send(room, "cake together")
    for order in ("recent", "rank"):
        results = await search(bob, "cake", order_by=order)
        assert (len(results["results"]), results["count"]) == (expected, expected)
        assert len({result["result"]["event_id"] for result in results["results"]}) == expected


async def test_context_ends_where_sight_ends(alice: Client, bob: Client) -> None:
    state = {
        "type": "m.room.history_visibility",
        "state_key": "",
        "content": {"history_visibility": "joined"},
    }
    room = await alice.create_room(initial_state=[state], preset="public_chat")
    await alice.send(room, "before")
    await bob.join(room)
    await alice.send(room, "cake")
    results = await search(bob, "cake", event_context={"before_limit": 5, "after_limit": 5})
    before = results["results"][0]["context"]["events_before"]
    assert before[0]["state_key"] == bob.user_id
    assert "m.room.message" not in [event["type"] for event in before]


@pytest.mark.parametrize("how", ["leave", "kick", "ban"])
async def test_those_who_have_left_find_what_was_said_until_then(
    alice: Client, bob: Client, how: str
) -> None:
    room = await alice.create_room(preset="public_chat")
    await bob.join(room)
    seen = await alice.send(room, "cake with you")
    edited = await alice.send(room, "something plain")
    assert len(await found(bob, "cake")) == 1
    if how == "leave":
        await bob.ok("POST", f"rooms/{room}/leave", json={})
    else:
        await alice.ok("POST", f"rooms/{room}/{how}", json={"user_id": bob.user_id})
    await alice.send(room, "cake without you")
    await alice.send(room, edit(edited, "a secret cake"))
    assert len(await found(alice, "cake")) == 3
    results = await search(
        bob, "cake", event_context={"before_limit": 0, "after_limit": 20}, include_state=True
    )
    assert [result["result"]["event_id"] for result in results["results"]] == [seen]
    assert results["count"] == 1
    after = results["results"][0]["context"]["events_after"]
    assert "cake without you" not in [event["content"].get("body") for event in after]
    await bob.ok("POST", f"rooms/{room}/forget", json={})
    assert await found(bob, "cake") == []


async def test_ignored_users_are_not_found(alice: Client, bob: Client) -> None:
    room = await alice.create_room(preset="public_chat")
    await bob.join(room)
    await bob.send(room, "cake of Bob")
    mine = await alice.send(room, "cake of Alice")
    content = {"ignored_users": {bob.user_id: {}}}
    await alice.put(f"user/{alice.user_id}/account_data/m.ignored_user_list", content)
    results = await search(alice, "cake", event_context={"before_limit": 1, "after_limit": 0})
    assert [result["result"]["event_id"] for result in results["results"]] == [mine]
    assert results["count"] == 1
    assert results["results"][0]["context"]["events_before"] == []


async def test_encrypted_rooms_have_nothing_to_find(alice: Client) -> None:
    room = await alice.create_room()
    content = {"algorithm": "m.megolm.v1.aes-sha2", "ciphertext": "cake", "body": "cake"}
    await alice.send(room, content, "m.room.encrypted")
    assert await found(alice, "cake") == []


async def test_a_page_is_full_although_much_may_not_be_seen(
    homeserver: Homeserver, alice: Client, bob: Client
) -> None:
    """What is hidden does not stand in the way of what is not, and is not counted."""
    hidden = {
        "type": "m.room.history_visibility",
        "state_key": "",
        "content": {"history_visibility": "joined"},
    }
    room = await alice.create_room(initial_state=[hidden], preset="public_chat")
    older = await alice.create_room(invite=[bob.user_id])
    await bob.join(older)
    visible = [await alice.send(older, f"cake {number}") for number in range(3)]
    for number in range(320):
        await alice.send(room, f"cake {number}")
    await bob.join(room)
    results = await search(bob, "cake")
    assert [result["result"]["event_id"] for result in results["results"]] == visible[::-1]
    assert results["count"] == 3
