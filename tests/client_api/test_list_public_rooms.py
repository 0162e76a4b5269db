"""The published room directory: what stands in it, found page by page."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from tests.fixtures.client import Client
from tests.fixtures.homeserver import Homeserver


def visibility(room_id: str) -> str:
    return f"directory/list/room/{quote(room_id)}"


async def names(client: Client, **body: Any) -> list[str]:
    said = await client.ok("POST", "publicRooms", json=body)
    return [room.get("name", "") for room in said["chunk"]]


async def test_a_published_room_shows_what_it_is(homeserver: Homeserver, alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(
        name="Cheese", topic="Tasty", room_alias_name="cheese", visibility="public", preset="public_chat"
    )
    await alice.create_room(name="Secret")
    await bob.join(room_id)
    await alice.set_state(room_id, "m.room.avatar", {"url": "mxc://one.example/cheese"})
    await alice.set_state(room_id, "m.room.history_visibility", {"history_visibility": "world_readable"})
    await alice.set_state(room_id, "m.room.guest_access", {"guest_access": "can_join"})

    said = await homeserver.nobody().ok("GET", "publicRooms")

    assert said == {
        "chunk": [
            {
                "room_id": room_id,
                "name": "Cheese",
                "topic": "Tasty",
                "canonical_alias": "#cheese:one.example",
                "avatar_url": "mxc://one.example/cheese",
                "num_joined_members": 2,
                "join_rule": "public",
                "guest_can_join": True,
                "world_readable": True,
            }
        ],
        "total_room_count_estimate": 1,
    }


async def test_rooms_go_in_and_out(alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(name="Room")
    assert await alice.ok("GET", visibility(room_id)) == {"visibility": "private"}

    status, body = await bob.put(visibility(room_id), {"visibility": "public"})
    assert (status, body["errcode"]) == (403, "M_FORBIDDEN")
    await alice.ok("PUT", visibility(room_id), json={})
    assert await bob.ok("GET", visibility(room_id)) == {"visibility": "public"}
    assert await names(bob) == ["Room"]

    for _ in range(2):
        await alice.ok("PUT", visibility(room_id), json={"visibility": "private"})
    assert await names(bob) == []
    status, body = await alice.put(visibility(room_id), {"visibility": "secret"})
    assert (status, body["errcode"]) == (400, "M_INVALID_PARAM")
    for method in ("GET", "PUT"):
        status, body = await alice.request(method, visibility("!unknown:one.example"), json={})
        assert (status, body["errcode"]) == (404, "M_NOT_FOUND")


async def test_pages_go_forward_and_back(homeserver: Homeserver, alice: Client, bob: Client) -> None:
    rooms = [await alice.create_room(name=str(n), visibility="public") for n in range(5)]
    for room_id in rooms[:2]:
        await alice.invite(room_id, bob)
        await bob.join(room_id)
    whole = [room["room_id"] for room in (await alice.ok("GET", "publicRooms"))["chunk"]]
    assert whole == sorted(rooms[:2]) + sorted(rooms[2:])

    pages = [await alice.ok("GET", "publicRooms", params={"limit": 2})]
    while "next_batch" in pages[-1]:
        params = {"limit": 2, "since": pages[-1]["next_batch"]}
        pages.append(await alice.ok("GET", "publicRooms", params=params))
    assert [[room["room_id"] for room in page["chunk"]] for page in pages] == [
        whole[:2],
        whole[2:4],
        whole[4:],
    ]
    assert "prev_batch" not in pages[0]

    back = await alice.ok("GET", "publicRooms", params={"limit": 2, "since": pages[2]["prev_batch"]})
    assert [room["room_id"] for room in back["chunk"]] == whole[2:4]
    first = await alice.ok("GET", "publicRooms", params={"limit": 2, "since": back["prev_batch"]})
    assert [room["room_id"] for room in first["chunk"]] == whole[:2]
    assert "prev_batch" not in first
    again = await alice.ok("GET", "publicRooms", params={"limit": 2, "since": first["next_batch"]})
    assert again["chunk"] == back["chunk"]
    assert (await alice.ok("GET", "publicRooms", params={"limit": 0}))["chunk"] == []


async def test_a_page_is_one_query_and_a_count(homeserver: Homeserver, alice: Client) -> None:
    for n in range(5):
        await alice.create_room(name=str(n), topic="T", visibility="public")
    before = homeserver.tenant.database.statements_run
    await homeserver.nobody().ok("GET", "publicRooms")
    assert homeserver.tenant.database.statements_run - before == 2


@pytest.mark.parametrize(
    ("term", "found"),
    [
        ("TEA", ["Green Tea", "Hot"]),
        ("alias", ["Nameless"]),
        ('"quoted"', ["Quotes"]),
        ("CAFÉ", ["Le café"]),
        ("m.room", []),
        ("one.example", ["Nameless"]),
        ("", ["Green Tea", "Hot", "Le café", "Nameless", "Quotes"]),
    ],
)
async def test_rooms_are_searched_by_name_topic_and_alias(alice: Client, term: str, found: list[str]) -> None:
    await alice.create_room(name="Green Tea", visibility="public")
    await alice.create_room(name="Hot", topic="also tea", visibility="public")
    await alice.create_room(name="Nameless", room_alias_name="an_alias", visibility="public")
    await alice.create_room(name="Quotes", topic='so-"quoted"', visibility="public")
    await alice.create_room(name="Le café", visibility="public")
    assert sorted(await names(alice, filter={"generic_search_term": term})) == found


async def test_rooms_are_filtered_by_type(alice: Client) -> None:
    await alice.create_room(name="Space", visibility="public", creation_content={"type": "m.space"})
    await alice.create_room(name="Room", visibility="public")

    assert await names(alice, filter={"room_types": ["m.space"]}) == ["Space"]
    assert await names(alice, filter={"room_types": [None]}) == ["Room"]
    assert len(await names(alice, filter={"room_types": [None, "m.space"]})) == 2
    assert await names(alice, filter={"room_types": []}) == []
    assert len(await names(alice, filter={"room_types": None})) == 2


async def test_a_filtered_directory_has_pages_too(alice: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.directory.SEARCHED_AT_ONCE", 3)
    for n in range(9):
        await alice.create_room(
            name="tea" if n % 3 == 0 else "coffee", topic="tea" * (n == 1), visibility="public"
        )
    found: list[str] = []
    body: dict[str, Any] = {"limit": 2, "filter": {"generic_search_term": "tea"}}
    while True:
        page = await alice.ok("POST", "publicRooms", json=body)
        found += [room["room_id"] for room in page["chunk"]]
        if "next_batch" not in page:
            break
        body["since"] = page["next_batch"]
    assert len(found) == len(set(found)) == 4


async def test_networks_are_apart(alice: Client) -> None:
    await alice.create_room(name="Here", visibility="public")
    assert await names(alice, include_all_networks=True) == ["Here"]
    assert await names(alice, third_party_instance_id="irc") == []
    status, body = await alice.post(
        "publicRooms", {"include_all_networks": True, "third_party_instance_id": "irc"}
    )
    assert (status, body["errcode"]) == (400, "M_INVALID_PARAM")


async def test_odd_state_is_left_away(alice: Client) -> None:
    room_id = await alice.create_room(visibility="public")
    for kind, name in (("m.room.name", "name"), ("m.room.topic", "topic"), ("m.room.avatar", "url")):
        await alice.set_state(room_id, kind, {name: ["\0"]})
    (room,) = (await alice.ok("POST", "publicRooms", json={}))["chunk"]
    assert not room.keys() & {"name", "topic", "avatar_url"}
    assert await names(alice, filter={"generic_search_term": "x"}) == []


@pytest.mark.parametrize(
    ("params", "errcode"),
    [
        ({"since": "nonsense"}, "M_INVALID_PARAM"),
        ({"since": "W10"}, "M_INVALID_PARAM"),
        ({"limit": "-1"}, "M_INVALID_PARAM"),
        ({"limit": "x"}, "M_INVALID_PARAM"),
        ({"server": "no server"}, "M_INVALID_PARAM"),
    ],
)
async def test_nonsense_is_refused(alice: Client, params: dict[str, str], errcode: str) -> None:
    status, body = await alice.get("publicRooms", params=params)
    assert (status, body["errcode"]) == (400, errcode)


async def test_wrong_types_in_the_body_are_refused(alice: Client) -> None:
    for wrong in (
        {"limit": "x"},
        {"filter": []},
        {"filter": {"generic_search_term": 5}},
        {"filter": {"room_types": "m.space"}},
        {"filter": {"room_types": [5]}},
        {"since": 5},
    ):
        status, body = await alice.post("publicRooms", wrong)
        assert (status, body["errcode"]) == (400, "M_BAD_JSON"), wrong


async def test_own_rooms_by_name_and_others_without_federation(alice: Client) -> None:
    await alice.create_room(name="Here", visibility="public")
    said = await alice.ok("GET", "publicRooms", params={"server": "one.example"})
    assert len(said["chunk"]) == 1
    status, body = await alice.get("publicRooms", params={"server": "two.example"})
    assert (status, body["errcode"]) == (404, "M_NOT_FOUND")
