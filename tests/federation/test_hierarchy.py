"""Spaces and summaries across servers."""

from __future__ import annotations

from typing import Any

import pytest

from tests.client_api.test_spaces import V1 as CLIENT
from tests.client_api.test_spaces import hierarchy, names, space
from tests.federation.asking import Scene, part, scene
from tests.fixtures.client import Client
from tests.fixtures.federation import MakeFederated
from tests.fixtures.homeserver import Homeserver

__all__ = ["scene"]

ASKED = "/_matrix/federation/v1/hierarchy/"


async def put(client: Client, parent: str, child: str, *servers: str, **content: Any) -> None:
    """Puts a room, which these servers know, into a space."""
    await client.set_state(parent, "m.space.child", {"via": list(servers), **content}, child)


async def test_another_server_gets_the_space_and_what_it_may_see_of_it(scene: Scene) -> None:
    root = await space(scene.alice, name="root")
    open_room = await scene.room(name="open")
    closed = await scene.room(name="closed", preset="private_chat")
    rule = {"join_rule": "restricted", "allow": [{"type": "m.room_membership", "room_id": root}]}
    for_members = await scene.room(
        name="for members", initial_state=[{"type": "m.room.join_rules", "content": rule}]
    )
    for order, child in enumerate((open_room, closed, for_members)):
        await put(scene.alice, root, child, scene.one.name, order=str(order), suggested=child == open_room)
    await put(scene.alice, root, "!unknown:elsewhere", "elsewhere", order="9")

    reply = await scene.get(f"hierarchy/{part(root)}")
    assert reply["room"]["room_id"] == root
    assert [event["state_key"] for event in reply["room"]["children_state"]] == [
        open_room,
        closed,
        for_members,
        "!unknown:elsewhere",
    ]
    assert [room["name"] for room in reply["children"]] == ["open"]
    assert reply["inaccessible_children"] == [closed, for_members]

    await scene.eve_joins(root)
    reply = await scene.get(f"hierarchy/{part(root)}")
    assert [room["name"] for room in reply["children"]] == ["open", "for members"]
    assert reply["children"][1]["allowed_room_ids"] == [root]
    assert reply["inaccessible_children"] == [closed]

    reply = await scene.get(f"hierarchy/{part(root)}", suggested_only="true")
    assert [event["state_key"] for event in reply["room"]["children_state"]] == [open_room]
    for room in (closed, "!nowhere:here"):
        assert (await scene.ask("GET", f"hierarchy/{part(room)}"))[0] == 404
    assert (await scene.ask("GET", f"hierarchy/{part(root)}", query={"suggested_only": "x"}))[0] == 400


async def two_servers(make_federated: MakeFederated) -> tuple[Homeserver, Homeserver, Client, Client]:
    one, two = await make_federated(), await make_federated()
    return one, two, await one.user("alice"), await two.user("bob")


async def test_a_walk_goes_on_at_other_servers(make_federated: MakeFederated) -> None:
    one, two, alice, bob = await two_servers(make_federated)
    far = await space(alice, name="far")
    deep = await space(alice, name="deep")
    leaf = await alice.create_room(preset="public_chat", name="leaf")
    hidden = await alice.create_room(preset="private_chat", name="hidden")
    await put(alice, far, deep, one.name, order="a")
    await put(alice, far, hidden, one.name, order="b")
    await put(alice, deep, leaf, one.name)
    root = await space(bob, name="root")
    near = await bob.create_room(name="near")
    await put(bob, root, far, one.name, order="a")
    await put(bob, root, near, two.name, order="b")
    await put(bob, root, "!nowhere:elsewhere", order="c")

    page = await hierarchy(bob, root)
    assert names(page) == ["root", "far", "deep", "leaf", "near"]
    assert page["rooms"][1]["children_state"][0]["state_key"] == deep
    asked = sum("hierarchy" in served.path for served in one.served)
    assert asked == 2
    assert names(await hierarchy(bob, root)) == names(page)
    assert sum("hierarchy" in served.path for served in one.served) == asked  # it was kept

    first = await hierarchy(bob, root, limit=3)
    rest = await hierarchy(bob, root, limit=3, **{"from": first["next_batch"]})
    assert names(first) + names(rest) == names(page)


async def test_a_room_that_was_not_told_of_is_asked_for_again(make_federated: MakeFederated) -> None:
    one, _, alice, bob = await two_servers(make_federated)
    root = await space(bob, name="root")
    far = await alice.create_room(preset="private_chat", name="far")
    await put(bob, root, far, one.name)
    assert names(await hierarchy(bob, root)) == ["root"]

    await alice.set_state(far, "m.room.join_rules", {"join_rule": "public"})

    assert names(await hierarchy(bob, root)) == ["root", "far"]


async def test_an_invited_user_looks_into_a_space_elsewhere(make_federated: MakeFederated) -> None:
    one, _, alice, bob = await two_servers(make_federated)
    root = await space(alice, name="root", preset="private_chat")
    await put(alice, root, await alice.create_room(preset="public_chat", name="leaf"), one.name)
    assert (await bob.get(f"{CLIENT}/rooms/{part(root)}/hierarchy"))[0] == 403
    await alice.invite(root, bob)
    assert names(await hierarchy(bob, root)) == ["root", "leaf"]


async def test_a_summary_of_a_room_elsewhere(make_federated: MakeFederated) -> None:
    one, _, alice, bob = await two_servers(make_federated)
    room = await alice.create_room(preset="public_chat", name="plaza", room_alias_name="plaza")
    path = f"{CLIENT}/room_summary/{part(room)}?via={one.name}"
    summary = await bob.ok("GET", path)
    assert (summary["name"], summary["room_id"], summary["num_joined_members"]) == ("plaza", room, 1)
    by_alias = await bob.ok("GET", f"{CLIENT}/room_summary/{part(f'#plaza:{one.name}')}")
    assert by_alias == summary
    closed = await alice.create_room(preset="private_chat")
    assert (await bob.get(f"{CLIENT}/room_summary/{part(closed)}?via={one.name}"))[0] == 404
    assert (await bob.get(f"{CLIENT}/room_summary/{part(room)}"))[0] in (200, 404)


def told(room_id: str, **more: Any) -> dict[str, Any]:
    return {
        "room_id": room_id,
        "num_joined_members": 1,
        "guest_can_join": False,
        "world_readable": False,
        "join_rule": "public",
        **more,
    }


async def test_a_server_does_not_speak_for_rooms_that_it_was_not_asked_for(scene: Scene) -> None:
    """Neither for a room that is here, nor for one that it merely names as a child of its own."""
    root = await space(scene.alice, name="root")
    ours = await scene.room(name="ours")
    await put(scene.alice, root, "!far:liar", scene.liar.name, order="a")
    await put(scene.alice, root, ours, scene.one.name, order="b")
    child = {
        "type": "m.space.child",
        "state_key": ours,
        "sender": scene.eve,
        "content": {"via": [scene.liar.name]},
        "origin_server_ts": 1,
    }
    reply = {
        "room": told("!far:liar", name="far", room_type="m.space", children_state=[child]),
        "children": [told(ours, name="stolen"), told("!other:liar", name="not a child")],
        "inaccessible_children": [root, 7],
    }
    scene.liar.on("GET", ASKED, lambda _: reply)
    page = await hierarchy(scene.alice, root)
    assert names(page) == ["root", "far", "ours"]
    assert [room["room_id"] for room in page["rooms"]] == [root, "!far:liar", ours]


async def test_a_server_does_not_close_rooms_that_are_here(scene: Scene) -> None:
    root = await space(scene.alice, name="root")
    ours = await scene.room(name="ours")
    await put(scene.alice, root, "!far:liar", scene.liar.name, order="a")
    await put(scene.alice, root, "!other:liar", scene.liar.name, order="b")
    named = [
        {
            "type": "m.space.child",
            "state_key": room,
            "sender": scene.eve,
            "content": {"via": ["nowhere.example"]},
            "origin_server_ts": number,
        }
        for number, room in enumerate((ours, "!other:liar"))
    ]

    def answer(asked: Any) -> Any:
        if "far" in asked.path:
            room = told("!far:liar", name="far", room_type="m.space", children_state=named)
            return {"room": room, "children": [], "inaccessible_children": [ours, "!other:liar"]}
        return {"room": told("!other:liar", name="other", children_state=[]), "children": []}

    scene.liar.on("GET", ASKED, answer)
    assert names(await hierarchy(scene.alice, root)) == ["root", "far", "ours", "other"]


@pytest.mark.parametrize(
    "said",
    [
        [],
        {},
        {"room": {}, "children": []},
        {"room": told("!another:liar", children_state=[]), "children": []},
        {"room": told("!far:liar", num_joined_members="x", children_state=[]), "children": []},
        (404, {"errcode": "M_NOT_FOUND", "error": "no"}),
        (500, b"nonsense"),
    ],
)
async def test_what_cannot_be_had_is_left_out(scene: Scene, said: Any) -> None:
    root = await space(scene.alice, name="root")
    await put(scene.alice, root, "!far:liar", scene.liar.name)
    scene.liar.on("GET", ASKED, lambda _: said)
    assert names(await hierarchy(scene.alice, root)) == ["root"]
    await hierarchy(scene.alice, root)
    # A failure is remembered for a while, a refusal is not.
    refused = isinstance(said, tuple) and said[0] == 404
    assert scene.liar.times_asked(ASKED) == 1 + refused


@pytest.mark.parametrize(
    "children_state",
    [
        "nonsense",
        ["nonsense", {"type": "m.space.child"}],
        [{"type": "m.space.child", "state_key": "x", "sender": "@a:b", "content": {}, "origin_server_ts": 1}],
    ],
)
async def test_children_that_are_none_are_passed_over(scene: Scene, children_state: Any) -> None:
    root = await space(scene.alice, name="root")
    await put(scene.alice, root, "!far:liar", scene.liar.name)
    room = told(
        "!far:liar", name="far", room_type="m.space", encryption="rot13", children_state=children_state
    )
    scene.liar.on("GET", ASKED, lambda _: {"room": room, "children": [], "inaccessible_children": {}})
    page = await hierarchy(scene.alice, root)
    assert names(page) == ["root", "far"]
    assert page["rooms"][1]["children_state"] == []
    assert "encryption" not in page["rooms"][1]


async def test_an_endless_space_ends(scene: Scene) -> None:
    """A server that makes up a new room below each that it is asked for."""
    root = await space(scene.alice, name="root")
    await put(scene.alice, root, "!0:liar", scene.liar.name)

    def made_up(asked: Any) -> dict[str, Any]:
        number = int(asked.path.rpartition("%21")[2].partition("%3A")[0])
        child = {
            "type": "m.space.child",
            "state_key": f"!{number + 1}:liar",
            "sender": scene.eve,
            "content": {"via": [scene.liar.name]},
            "origin_server_ts": 1,
        }
        room = told(f"!{number}:liar", name=str(number), room_type="m.space", children_state=[child])
        return {"room": room, "children": []}

    scene.liar.on("GET", ASKED, made_up)
    page = await hierarchy(scene.alice, root)
    assert len(page["rooms"]) == 21
    assert "next_batch" not in page
