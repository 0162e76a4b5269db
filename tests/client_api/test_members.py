"""The members and the state of a room, now, at a token, and as at leaving."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from tests.fixtures.client import Client


async def _members(client: Client, room: str, **params: Any) -> dict[str, str]:
    said = await client.ok("GET", f"rooms/{quote(room, safe='')}/members", params=params)
    return {event["state_key"]: event["content"]["membership"] for event in said["chunk"]}


async def test_members_are_told_by_membership(alice: Client, bob: Client) -> None:
    room = await alice.create_room(preset="public_chat", invite=["@carol:one.example"])
    await bob.join(room)
    await bob.leave(room)
    everybody = {alice.user_id: "join", bob.user_id: "leave", "@carol:one.example": "invite"}
    assert await _members(alice, room) == everybody
    assert await _members(alice, room, membership="join") == {alice.user_id: "join"}
    without = {user: membership for user, membership in everybody.items() if membership != "leave"}
    assert await _members(alice, room, not_membership="leave") == without
    # «the two parameters create an 'or' condition»
    assert await _members(alice, room, membership="leave", not_membership="leave") == everybody
    status, said = await alice.get(f"rooms/{quote(room, safe='')}/members", params={"membership": "x"})
    assert (status, said["errcode"]) == (400, "M_INVALID_PARAM")


async def test_members_at_a_token_are_those_of_then(alice: Client, bob: Client) -> None:
    room = await alice.create_room(preset="public_chat")
    await alice.sync()
    then = alice.next_batch
    await bob.join(room)
    assert await _members(alice, room, at=then) == {alice.user_id: "join"}
    assert bob.user_id in await _members(alice, room)


async def test_before_the_room_began_there_was_its_creator(alice: Client, bob: Client) -> None:
    room = await alice.create_room(preset="public_chat")
    start = (await alice.sync())["rooms"]["join"][room]["timeline"]["prev_batch"]
    await bob.join(room)
    assert await _members(alice, room, at=start) == {alice.user_id: "join"}


async def test_joined_members_have_names(alice: Client, bob: Client) -> None:
    room = await alice.create_room(preset="public_chat")
    path = f"rooms/{quote(room, safe='')}/joined_members"
    assert (await bob.get(path))[0] == 403
    await bob.join(room)
    await bob.ok("PUT", f"profile/{bob.user_id}/displayname", json={"displayname": "Bob"})
    joined = (await alice.ok("GET", path))["joined"]
    assert joined.keys() == {alice.user_id, bob.user_id}
    assert joined[bob.user_id]["display_name"] == "Bob"
    await bob.leave(room)
    assert (await bob.get(path))[0] == 403


async def test_joined_rooms_are_those_now(alice: Client) -> None:
    one, two = await alice.create_room(), await alice.create_room()
    assert set((await alice.ok("GET", "joined_rooms"))["joined_rooms"]) == {one, two}
    await alice.leave(two)
    assert (await alice.ok("GET", "joined_rooms"))["joined_rooms"] == [one]


async def test_state_is_whole_or_one_event(alice: Client, bob: Client) -> None:
    room = await alice.create_room(name="Room", preset="public_chat")
    path = f"rooms/{quote(room, safe='')}/state"
    state = await alice.ok("GET", path)
    assert {"m.room.create", "m.room.name", "m.room.member"} <= {event["type"] for event in state}
    assert all(event["room_id"] == room for event in state)
    assert await alice.ok("GET", f"{path}/m.room.name") == {"name": "Room"}
    assert await alice.ok("GET", f"{path}/m.room.name/") == {"name": "Room"}
    event = await alice.ok("GET", f"{path}/m.room.name/", params={"format": "event"})
    assert event["content"] == {"name": "Room"}
    assert event["room_id"] == room
    assert (await alice.get(f"{path}/m.room.topic/"))[0] == 404
    assert (await alice.get(f"{path}/m.room.name/", params={"format": "x"}))[0] == 400
    assert (await bob.get(path))[0] == 403
    assert (await bob.get(f"{path}/m.room.name/"))[0] == 403


async def test_after_leaving_state_and_members_are_those_of_then(alice: Client, bob: Client) -> None:
    room = await alice.create_room(name="then", preset="public_chat")
    await bob.join(room)
    await bob.leave(room)
    await alice.set_state(room, "m.room.name", {"name": "now"})
    await alice.set_state(room, "m.room.topic", {"topic": "new"})
    await alice.invite(room, "@carol:one.example")
    assert await bob.state(room, "m.room.name") == {"name": "then"}
    assert (await bob.get(f"rooms/{quote(room, safe='')}/state/m.room.topic/"))[0] == 404
    assert await _members(bob, room) == {alice.user_id: "join", bob.user_id: "leave"}
    types = {e["type"] for e in await bob.ok("GET", f"rooms/{quote(room, safe='')}/state")}
    assert "m.room.topic" not in types


async def test_an_invite_opens_nothing(alice: Client, bob: Client) -> None:
    room = await alice.create_room(invite=[bob.user_id])
    for what in ("state", "members", "joined_members", "messages?dir=b"):
        assert (await bob.get(f"rooms/{quote(room, safe='')}/{what}"))[0] == 403
