"""Profiles and aliases across servers."""

from __future__ import annotations

from typing import Any

import pytest

from tests.federation.asking import Scene, ask, part, scene
from tests.fixtures.federation import MakeFederated, MakeLying

__all__ = ["scene"]


async def test_a_profile_and_its_fields(scene: Scene) -> None:
    alice = scene.alice.user_id
    await scene.alice.ok("PUT", f"profile/{alice}/displayname", json={"displayname": "Alice"})
    await scene.alice.ok("PUT", f"profile/{alice}/org.example.pet", json={"org.example.pet": {"kind": "cat"}})
    assert await scene.get("query/profile", user_id=alice) == {
        "displayname": "Alice",
        "org.example.pet": {"kind": "cat"},
    }
    assert await scene.get("query/profile", user_id=alice, field="displayname") == {"displayname": "Alice"}
    assert await scene.get("query/profile", user_id=alice, field="org.example.pet") == {
        "org.example.pet": {"kind": "cat"}
    }
    for query, status in (
        ({"user_id": alice, "field": "avatar_url"}, 404),
        ({"user_id": f"@nobody:{scene.one.name}"}, 404),
        ({"user_id": scene.eve}, 400),
        ({"user_id": "nonsense"}, 400),
        ({}, 400),
    ):
        assert (await scene.ask("GET", "query/profile", query=query))[0] == status, query


async def test_profiles_may_be_for_those_who_share_a_room(
    make_federated: MakeFederated, make_lying: MakeLying
) -> None:
    one = await make_federated(federation={"share_profiles": False})
    scene = Scene(one, await one.user("alice"), await make_lying())
    room = await scene.room()
    status, said = await scene.ask("GET", "query/profile", query={"user_id": scene.alice.user_id})
    assert (status, said["errcode"]) == (403, "M_FORBIDDEN")
    await scene.eve_joins(room)
    await scene.get("query/profile", user_id=scene.alice.user_id)


async def test_an_alias_leads_to_its_room_and_to_servers_in_it(scene: Scene) -> None:
    room = await scene.room(room_alias_name="plaza")
    alias = f"#plaza:{scene.one.name}"
    found = await scene.get("query/directory", room_alias=alias)
    assert found == {"room_id": room, "servers": [scene.one.name]}
    await scene.eve_joins(room)
    assert (await scene.get("query/directory", room_alias=alias))["servers"] == [
        scene.one.name,
        scene.liar.name,
    ]
    for query, status in (
        ({"room_alias": f"#nothing:{scene.one.name}"}, 404),
        ({"room_alias": "#plaza:elsewhere.example"}, 404),
        ({"room_alias": "nonsense"}, 400),
        ({}, 400),
    ):
        assert (await scene.ask("GET", "query/directory", query=query))[0] == status, query


async def test_other_questions_are_not_understood(scene: Scene) -> None:
    status, said = await scene.ask("GET", "query/weather")
    assert (status, said["errcode"]) == (404, "M_UNRECOGNIZED")


async def test_this_is_no_policy_server(scene: Scene) -> None:
    status, said = await scene.ask("POST", "/_matrix/policy/v1/sign", {"type": "m.room.message"})
    assert (status, said["errcode"]) == (404, "M_UNRECOGNIZED")


async def test_clients_see_profiles_and_aliases_of_other_servers(make_federated: MakeFederated) -> None:
    one, two = await make_federated(), await make_federated()
    alice, bob = await one.user("alice"), await two.user("bob")
    await alice.ok("PUT", f"profile/{alice.user_id}/displayname", json={"displayname": "Alice"})
    room = await alice.create_room(room_alias_name="plaza")

    assert await bob.ok("GET", f"profile/{alice.user_id}") == {"displayname": "Alice"}
    assert await bob.ok("GET", f"profile/{alice.user_id}/displayname") == {"displayname": "Alice"}
    assert (await bob.get(f"profile/{alice.user_id}/avatar_url"))[0] == 404
    assert (await bob.get(f"profile/@nobody:{one.name}"))[0] == 404
    found = await bob.ok("GET", f"directory/room/{part(f'#plaza:{one.name}')}")
    assert found == {"room_id": room, "servers": [one.name]}
    assert (await bob.get(f"directory/room/{part(f'#nothing:{one.name}')}"))[0] == 404


@pytest.mark.parametrize("said", [[], "x", {"room_id": 7, "servers": []}, {}, None])
async def test_nonsense_of_other_servers_is_their_fault(scene: Scene, said: Any) -> None:
    scene.liar.on("GET", "/_matrix/federation/v1/query/directory", lambda _: said)
    status, body = await scene.alice.get(f"directory/room/{part(f'#x:{scene.liar.name}')}")
    assert (status, body["errcode"]) == (502, "M_UNKNOWN")


async def test_profiles_of_other_servers_are_looked_through(scene: Scene) -> None:
    """Two fields that clients show must be text, whatever another server says."""
    said = {"displayname": {"not": "text"}, "avatar_url": 7, "org.example.pet": ["cat"]}
    scene.liar.on("GET", "/_matrix/federation/v1/query/profile", lambda _: said)
    assert await scene.alice.ok("GET", f"profile/{scene.eve}") == {"org.example.pet": ["cat"]}


async def test_requests_must_be_signed(scene: Scene) -> None:
    path = f"/_matrix/federation/v1/query/profile?user_id={part(scene.alice.user_id)}"
    status, said = await scene.liar.request(scene.one, "GET", path, header="")
    assert (status, said["errcode"]) == (401, "M_UNAUTHORIZED")
    assert (await ask(scene.liar, scene.one, "GET", path.partition("?")[0]))[0] == 400
