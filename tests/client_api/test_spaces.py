"""Spaces of one server: who sees which rooms in them, in which order, page by page; and summaries of rooms."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from tests.fixtures.client import Client
from tests.fixtures.homeserver import Homeserver

V1 = "/_matrix/client/v1"
VIA = ["one.example"]


async def space(client: Client, **request: Any) -> str:
    """A public space, unless told otherwise."""
    request = {"preset": "public_chat"} | request
    return await client.create_room(creation_content={"type": "m.space"}, **request)


async def put(client: Client, parent: str, child: str, **content: Any) -> None:
    """Puts a room into a space."""
    await client.set_state(parent, "m.space.child", {"via": VIA, **content}, child)


async def hierarchy(client: Client, room: str, **params: Any) -> dict[str, Any]:
    """A page of a space's rooms."""
    path = f"{V1}/rooms/{quote(room, safe='')}/hierarchy"
    return dict(await client.ok("GET", path, params=params))


def names(page: dict[str, Any]) -> list[str]:
    return [room.get("name", "-") for room in page["rooms"]]


async def test_rooms_come_depth_first_in_their_order(alice: Client, bob: Client) -> None:
    root = await space(alice, name="root")
    first = await space(alice, name="first")
    inner = await alice.create_room(preset="public_chat", name="inner")
    named = await alice.create_room(preset="public_chat", name="named")
    await put(alice, root, named)
    await put(alice, root, first, order="a")
    await put(alice, first, inner)
    await put(alice, inner, root)  # not a space: its children do not count
    await put(alice, first, root)  # a loop

    page = await hierarchy(bob, root)

    assert names(page) == ["root", "first", "inner", "named"]
    assert "next_batch" not in page
    children = [child["state_key"] for child in page["rooms"][0]["children_state"]]
    assert children == [first, named]
    assert page["rooms"][2]["children_state"] == []
    assert page["rooms"][0]["room_type"] == "m.space"
    assert page["rooms"][0]["children_state"][0]["origin_server_ts"] > 0


async def test_who_may_not_enter_does_not_see_the_room_or_what_is_below_it(
    alice: Client, bob: Client
) -> None:
    root = await space(alice, name="root")
    closed = await space(alice, name="closed", preset="private_chat")
    below = await alice.create_room(preset="public_chat", name="below")
    invited = await alice.create_room(preset="private_chat", name="invited", invite=[bob.user_id])
    knockable = await alice.create_room(
        name="knockable",
        initial_state=[{"type": "m.room.join_rules", "state_key": "", "content": {"join_rule": "knock"}}],
    )
    rule = {"join_rule": "restricted", "allow": [{"type": "m.room_membership", "room_id": root}]}
    members = await alice.create_room(
        name="for members",
        initial_state=[{"type": "m.room.join_rules", "state_key": "", "content": rule}],
    )
    for order, child in enumerate((closed, invited, knockable, members)):
        await put(alice, root, child, order=str(order))
    await put(alice, closed, below)

    assert names(await hierarchy(bob, root)) == ["root", "invited", "knockable"]
    await bob.join(root)
    page = await hierarchy(bob, root)
    assert names(page) == ["root", "invited", "knockable", "for members"]
    assert page["rooms"][3]["allowed_room_ids"] == [root]
    assert names(await hierarchy(alice, root)) == [
        "root", "closed", "below", "invited", "knockable", "for members",
    ]  # fmt: skip


async def test_a_space_that_one_may_not_see_is_refused(alice: Client, bob: Client) -> None:
    closed = await space(alice, preset="private_chat")
    for room in (closed, "!nowhere:one.example"):
        status, body = await bob.get(f"{V1}/rooms/{quote(room, safe='')}/hierarchy")
        assert (status, body["errcode"]) == (403, "M_FORBIDDEN")
    open_space = await space(alice)
    await alice.ok("POST", f"rooms/{quote(open_space, safe='')}/ban", json={"user_id": bob.user_id})
    status, _ = await bob.get(f"{V1}/rooms/{quote(open_space, safe='')}/hierarchy")
    assert status == 403


async def test_pages_go_on_where_they_ended(alice: Client) -> None:
    root = await space(alice, name="0")
    for number in range(1, 8):
        room = await alice.create_room(preset="public_chat", name=str(number))
        await put(alice, root, room, order=str(number))
    seen: list[str] = []
    token: dict[str, str] = {}
    while True:
        page = await hierarchy(alice, root, limit=3, **token)
        seen += names(page)
        if "next_batch" not in page:
            break
        token = {"from": page["next_batch"]}
    assert seen == [str(number) for number in range(8)]


async def test_only_suggested_rooms_and_only_so_deep(alice: Client) -> None:
    root, inner = await space(alice, name="root"), await space(alice, name="inner")
    leaf = await alice.create_room(preset="public_chat", name="leaf")
    plain = await alice.create_room(preset="public_chat", name="plain")
    await put(alice, root, inner, suggested=True, order="a")
    await put(alice, root, plain, order="b")
    await put(alice, inner, leaf, suggested=True)

    assert names(await hierarchy(alice, root, suggested_only="true")) == ["root", "inner", "leaf"]
    assert names(await hierarchy(alice, root, max_depth=1)) == ["root", "inner", "plain"]
    assert names(await hierarchy(alice, root, max_depth=0)) == ["root"]


async def test_a_token_of_another_walk_is_refused(alice: Client) -> None:
    root = await space(alice)
    await put(alice, root, await alice.create_room(preset="public_chat"))
    token = (await hierarchy(alice, root, limit=1))["next_batch"]
    path = f"{V1}/rooms/{quote(root, safe='')}/hierarchy"
    for params in (
        {"from": token, "suggested_only": "true"},
        {"from": token, "max_depth": 1},
        {"from": "nonsense"},
        {"limit": 0},
    ):
        status, body = await alice.get(path, params=params)
        assert (status, body["errcode"]) == (400, "M_INVALID_PARAM"), params


@pytest.mark.parametrize("content", [{}, {"via": "one.example"}, {"via": None}])
async def test_a_child_without_servers_is_none(alice: Client, content: dict[str, Any]) -> None:
    root = await space(alice, name="root")
    child = await alice.create_room(preset="public_chat", name="child")
    await alice.set_state(root, "m.space.child", content, child)
    assert names(await hierarchy(alice, root)) == ["root"]


async def test_how_many_queries_a_large_space_takes(homeserver: Homeserver, alice: Client) -> None:
    root = await space(alice)
    for number in range(20):
        await put(alice, root, await alice.create_room(preset="public_chat"), order=str(number))
    before = homeserver.tenant.database.statements_run
    assert len((await hierarchy(alice, root))["rooms"]) == 21
    assert homeserver.tenant.database.statements_run - before < 15


async def test_a_summary_says_what_one_sees_from_outside(
    alice: Client, bob: Client, homeserver: Homeserver
) -> None:
    room = await alice.create_room(
        preset="public_chat",
        name="plaza",
        topic="talk",
        room_alias_name="plaza",
        initial_state=[
            {"type": "m.room.encryption", "content": {"algorithm": "m.megolm.v1.aes-sha2"}},
        ],
    )
    path = f"{V1}/room_summary/{quote(room, safe='')}"
    expected = {
        "room_id": room,
        "name": "plaza",
        "topic": "talk",
        "canonical_alias": "#plaza:one.example",
        "num_joined_members": 1,
        "join_rule": "public",
        "guest_can_join": False,
        "world_readable": False,
        "encryption": "m.megolm.v1.aes-sha2",
        "room_version": "12",
    }
    assert await bob.ok("GET", path) == expected
    assert await homeserver.nobody().ok("GET", path) == expected
    alias = f"{V1}/room_summary/{quote('#plaza:one.example', safe='')}"
    assert await alice.ok("GET", alias) == expected | {"membership": "join"}
    await bob.join(room)
    await bob.leave(room)
    assert (await bob.ok("GET", path))["membership"] == "leave"


async def test_there_is_no_summary_of_rooms_that_one_may_not_see(
    alice: Client, bob: Client, homeserver: Homeserver
) -> None:
    closed = await alice.create_room(preset="private_chat")
    for who, room in (
        (bob, closed),
        (homeserver.nobody(), closed),
        (bob, "!nowhere:one.example"),
        (bob, "#nowhere:one.example"),
        (homeserver.nobody(), "#room:two.example"),
    ):
        status, body = await who.get(f"{V1}/room_summary/{quote(room, safe='')}")
        assert (status, body["errcode"]) == (404, "M_NOT_FOUND"), room
    await alice.invite(closed, bob)
    assert (await bob.ok("GET", f"{V1}/room_summary/{quote(closed, safe='')}"))["membership"] == "invite"
