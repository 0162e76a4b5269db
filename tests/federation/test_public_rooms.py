"""The room directory across servers."""

from __future__ import annotations

from typing import Any

import pytest

from tests.federation.asking import Scene, scene
from tests.fixtures.federation import MakeFederated

__all__ = ["scene"]

ROOM = {"room_id": "!x:y", "num_joined_members": 3, "guest_can_join": False, "world_readable": True}


async def published(scene: Scene, name: str, **more: Any) -> str:
    return await scene.room(name=name, visibility="public", **more)


async def test_another_server_reads_the_directory_page_by_page(scene: Scene) -> None:
    names = {f"room {number}" for number in range(5)}
    for name in names:
        await published(scene, name)
    await scene.room(name="not published")
    whole = await scene.get("publicRooms")
    assert {room["name"] for room in whole["chunk"]} == names
    assert whole["total_room_count_estimate"] == 5

    found: list[str] = []
    since: dict[str, str] = {}
    while True:
        page = await scene.get("publicRooms", limit=2, **since)
        found += [room["name"] for room in page["chunk"]]
        if "next_batch" not in page:
            break
        since = {"since": page["next_batch"]}
    assert sorted(found) == sorted(names)


async def test_another_server_searches_the_directory(scene: Scene) -> None:
    await published(scene, "cats")
    await published(scene, "dogs", creation_content={"type": "m.space"})

    async def names(**body: Any) -> list[str]:
        status, said = await scene.ask("POST", "publicRooms", body)
        assert status == 200, said
        return sorted(room["name"] for room in said["chunk"])

    assert await names() == ["cats", "dogs"]
    assert await names(filter={"generic_search_term": "CAT"}) == ["cats"]
    assert await names(filter={"room_types": ["m.space"]}) == ["dogs"]
    assert await names(filter={"room_types": [None]}) == ["cats"]
    assert await names(third_party_instance_id="irc") == []
    assert await names(include_all_networks=True) == ["cats", "dogs"]
    for body, code in (
        ({"limit": -1}, "M_INVALID_PARAM"),
        ({"since": "nonsense"}, "M_INVALID_PARAM"),
        ({"filter": {"room_types": "m.space"}}, "M_BAD_JSON"),
        ({"include_all_networks": True, "third_party_instance_id": "irc"}, "M_INVALID_PARAM"),
    ):
        status, said = await scene.ask("POST", "publicRooms", body)
        assert (status, said["errcode"]) == (400, code), body


async def test_clients_read_the_directory_of_another_server(make_federated: MakeFederated) -> None:
    one, two = await make_federated(), await make_federated()
    alice, bob = await one.user("alice"), await two.user("bob")
    room = await alice.create_room(preset="public_chat", visibility="public", name="plaza")
    other = await alice.create_room(preset="public_chat", visibility="public", name="other")
    page = await bob.ok("GET", "publicRooms", params={"server": one.name})
    assert {entry["room_id"] for entry in page["chunk"]} == {room, other}
    body = {"filter": {"generic_search_term": "plaza"}}
    found = await bob.ok("POST", f"publicRooms?server={one.name}", json=body)
    assert [entry["name"] for entry in found["chunk"]] == ["plaza"]


async def test_what_another_server_says_of_its_rooms_is_looked_through(scene: Scene) -> None:
    chunk = [
        ROOM | {"name": "good", "topic": 7, "surprise": {"a": 1}},
        ROOM | {"room_id": 5},
        ROOM | {"num_joined_members": "many"},
        {"room_id": "!y:y"},
        "nonsense",
    ]
    said = {"chunk": chunk, "next_batch": 5, "total_room_count_estimate": "many"}
    scene.liar.on("POST", "/_matrix/federation/v1/publicRooms", lambda _: said)
    page = await scene.alice.ok("GET", "publicRooms", params={"server": scene.liar.name})
    assert page == {"chunk": [ROOM | {"name": "good", "join_rule": "public"}]}


@pytest.mark.parametrize("said", [[], {}, {"chunk": {}}, (500, {}), (200, b"nonsense")])
async def test_a_server_without_a_directory(scene: Scene, said: Any) -> None:
    scene.liar.on("POST", "/_matrix/federation/v1/publicRooms", lambda _: said)
    status, body = await scene.alice.get("publicRooms", params={"server": scene.liar.name})
    assert (status, body["errcode"]) == (502, "M_UNKNOWN")
