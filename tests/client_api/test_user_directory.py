"""The user directory finds whom one may see, by parts of names; mutual rooms are those that both are in."""

from __future__ import annotations

from urllib.parse import quote

import services.user_directory
from tests.fixtures.client import Client
from tests.fixtures.homeserver import Homeserver


async def _named(homeserver: Homeserver, localpart: str, name: str) -> Client:
    user = await homeserver.user(localpart)
    path = f"profile/{quote(user.user_id)}"
    await user.ok("PUT", f"{path}/displayname", json={"displayname": name})
    await user.ok("PUT", f"{path}/avatar_url", json={"avatar_url": f"mxc://one.example/{localpart}"})
    return user


async def _found(client: Client, term: str, limit: int = 10) -> list[str]:
    said = await client.ok("POST", "user_directory/search", json={"search_term": term, "limit": limit})
    return [user["user_id"].partition(":")[0] for user in said["results"]]


async def test_those_are_found_who_share_a_room_or_are_in_an_open_one(
    homeserver: Homeserver, alice: Client, bob: Client
) -> None:
    friend, open_one, hidden = [
        await _named(homeserver, name, f"Someone {name}") for name in ("friend", "open", "hidden")
    ]
    room = await alice.create_room(invite=[friend.user_id])
    assert await _found(alice, "someone") == []
    await friend.join(room)
    await open_one.create_room(preset="public_chat")
    await hidden.create_room()
    assert await _found(alice, "someone") == ["@open", "@friend"]
    assert await _found(bob, "someone") == ["@open"]
    assert await _found(alice, "alice") == []  # who is only in a room of their own has nobody to be found by
    readable = {"type": "m.room.history_visibility", "content": {"history_visibility": "world_readable"}}
    await hidden.create_room(initial_state=[readable])
    assert await _found(bob, "hidden") == ["@hidden"]
    await friend.leave(room)
    assert await _found(alice, "friend") == []


async def test_names_are_found_by_their_parts_whatever_the_case_and_the_accents(
    homeserver: Homeserver, alice: Client
) -> None:
    zoe = await _named(homeserver, "z1", "Zoë Müller-Straße")
    joe = await _named(homeserver, "joe_100", "Joe 100% Müller")
    for user in (zoe, joe):
        await user.create_room(preset="public_chat")
    for term in ("zoe", "ZOË", "mull zo", "strasse", "@z1", "z1:one.example", "ller stra"):
        assert await _found(alice, term) == ["@z1"], term
    assert await _found(alice, "100%") == await _found(alice, "e_1") == ["@joe_100"]
    assert await _found(alice, "joe%ller") == await _found(alice, "nobody") == await _found(alice, " ") == []
    said = await alice.ok("POST", "user_directory/search", json={"search_term": "müller", "limit": 1})
    assert said["limited"] is True
    said = await alice.ok("POST", "user_directory/search", json={"search_term": "zoe"})
    name, avatar = "Zoë Müller-Straße", "mxc://one.example/z1"
    shown = {"user_id": zoe.user_id, "display_name": name, "avatar_url": avatar}
    assert said == {"results": [shown], "limited": False}
    await zoe.ok("PUT", f"profile/{quote(zoe.user_id)}/displayname", json={"displayname": "Chloé"})
    assert await _found(alice, "zoe") == []
    assert await _found(alice, "chloe") == ["@z1"]


async def test_beginnings_of_words_come_first(homeserver: Homeserver, alice: Client) -> None:
    for localpart, name in (("a1", "Roland"), ("b1", "Andrea"), ("c1", "Big Andy")):
        await (await _named(homeserver, localpart, name)).create_room(preset="public_chat")
    assert await _found(alice, "and") == ["@b1", "@c1", "@a1"]


async def test_mutual_rooms(homeserver: Homeserver, alice: Client, bob: Client) -> None:
    path = "/_matrix/client/v1/mutual_rooms"
    rooms = []
    for _ in range(3):
        rooms.append(await alice.create_room(preset="public_chat"))
        await bob.join(rooms[-1])
    await alice.create_room()
    asked = {"user_id": bob.user_id}
    assert await alice.ok("GET", path, params=asked) == {"joined": sorted(rooms), "count": 3}
    await bob.leave(rooms[0])
    assert (await alice.ok("GET", path, params=asked))["joined"] == sorted(rooms[1:])
    nobody = await alice.ok("GET", path, params={"user_id": "@nobody:one.example"})
    assert nobody == {"joined": [], "count": 0}
    for wrong, errcode in (
        ({}, "M_MISSING_PARAM"),
        ({"user_id": alice.user_id}, "M_INVALID_PARAM"),
        ({"user_id": "bob"}, "M_INVALID_PARAM"),
        (asked | {"from": "x"}, "M_INVALID_PARAM"),
    ):
        status, said = await alice.get(path, params=wrong)
        assert (status, said["errcode"]) == (400, errcode), wrong


async def test_mutual_rooms_page_by_page(alice: Client, bob: Client) -> None:
    rooms = []
    for _ in range(3):
        rooms.append(await alice.create_room(preset="public_chat"))
        await bob.join(rooms[-1])
    services.user_directory.MUTUAL_ROOMS, before = 2, services.user_directory.MUTUAL_ROOMS
    try:
        first = await alice.ok("GET", "/_matrix/client/v1/mutual_rooms", params={"user_id": bob.user_id})
        more = {"user_id": bob.user_id, "from": first["next_batch"]}
        second = await alice.ok("GET", "/_matrix/client/v1/mutual_rooms", params=more)
    finally:
        services.user_directory.MUTUAL_ROOMS = before
    assert first["joined"] + second["joined"] == sorted(rooms)
    assert (first["count"], second["count"]) == (3, 3)
    assert "next_batch" not in second
