"""Room aliases: made, found, removed, and by whom."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from tests.fixtures.client import Client
from tests.fixtures.homeserver import Homeserver


def alias(name: str) -> str:
    return f"directory/room/{quote(name, safe='')}"


HERE = "#here:one.example"


async def test_an_alias_leads_to_its_room(homeserver: Homeserver, alice: Client) -> None:
    room_id = await alice.create_room()
    await alice.ok("PUT", alias(HERE), json={"room_id": room_id})

    said = await homeserver.nobody().ok("GET", alias(HERE))
    assert said == {"room_id": room_id, "servers": ["one.example"]}
    assert await alice.ok("GET", f"rooms/{quote(room_id)}/aliases") == {"aliases": [HERE]}

    await alice.ok("DELETE", alias(HERE))
    for method in ("GET", "DELETE"):
        status, body = await alice.request(method, alias(HERE))
        assert (status, body["errcode"]) == (404, "M_NOT_FOUND")
    assert await alice.ok("GET", f"rooms/{quote(room_id)}/aliases") == {"aliases": []}


async def test_an_alias_is_made_once(alice: Client) -> None:
    one, two = await alice.create_room(), await alice.create_room()
    await alice.ok("PUT", alias(HERE), json={"room_id": one})
    for room_id in (one, two):
        status, body = await alice.put(alias(HERE), {"room_id": room_id})
        assert (status, body["errcode"]) == (409, "M_UNKNOWN")
    assert (await alice.ok("GET", alias(HERE)))["room_id"] == one


async def test_an_alias_of_create_room_is_found(alice: Client) -> None:
    room_id = await alice.create_room(room_alias_name="made")
    assert (await alice.ok("GET", alias("#made:one.example")))["room_id"] == room_id
    assert await alice.ok("GET", f"rooms/{quote(room_id)}/aliases") == {"aliases": ["#made:one.example"]}


@pytest.mark.parametrize(
    ("name", "body", "status", "errcode"),
    [
        ("#x:two.example", {"room_id": "!x:one.example"}, 403, "M_FORBIDDEN"),
        (HERE, {"room_id": "!unknown:one.example"}, 403, "M_FORBIDDEN"),
        ("nonsense", {"room_id": "!x:one.example"}, 400, "M_INVALID_PARAM"),
        ("#:one.example", {"room_id": "!x:one.example"}, 400, "M_INVALID_PARAM"),
        (HERE, {"room_id": "nonsense"}, 400, "M_INVALID_PARAM"),
        (HERE, {}, 400, "M_MISSING_PARAM"),
        (HERE, {"room_id": 5}, 400, "M_BAD_JSON"),
    ],
)
async def test_what_cannot_be_an_alias_is_refused(
    alice: Client, name: str, body: dict[str, Any], status: int, errcode: str
) -> None:
    answer, said = await alice.put(alias(name), body)
    assert (answer, said["errcode"]) == (status, errcode)


async def test_without_federation_others_aliases_are_not_found(alice: Client) -> None:
    for method in ("GET", "DELETE"):
        status, body = await alice.request(method, alias("#x:two.example"))
        assert (status, body["errcode"]) == (404, "M_NOT_FOUND")
    assert (await alice.get(alias("nonsense")))[0] == 400


async def test_who_is_not_in_the_room_makes_no_alias_and_sees_none(alice: Client, bob: Client) -> None:
    room_id = await alice.create_room()
    status, body = await bob.put(alias(HERE), {"room_id": room_id})
    assert (status, body["errcode"]) == (403, "M_FORBIDDEN")
    for room in (room_id, "!nowhere:one.example"):
        status, body = await bob.get(f"rooms/{quote(room)}/aliases")
        assert (status, body["errcode"]) == (403, "M_FORBIDDEN")


async def test_anybody_sees_the_aliases_of_a_room_that_anybody_can_read(alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(room_alias_name="made")
    await alice.set_state(room_id, "m.room.history_visibility", {"history_visibility": "world_readable"})
    assert await bob.ok("GET", f"rooms/{quote(room_id)}/aliases") == {"aliases": ["#made:one.example"]}


async def test_creators_and_the_powerful_remove_aliases(
    homeserver: Homeserver, alice: Client, bob: Client
) -> None:
    carol = await homeserver.user("carol")
    room_id = await alice.create_room(
        invite=[bob.user_id, carol.user_id],
        power_level_content_override={"events": {"m.room.canonical_alias": 50}},
    )
    await bob.join(room_id)
    await carol.join(room_id)
    for name in ("#one:one.example", "#two:one.example"):
        await bob.ok("PUT", alias(name), json={"room_id": room_id})

    status, body = await carol.delete(alias("#one:one.example"))
    assert (status, body["errcode"]) == (403, "M_FORBIDDEN")
    await bob.ok("DELETE", alias("#one:one.example"))
    await alice.ok("DELETE", alias("#two:one.example"))
    assert await alice.ok("GET", f"rooms/{quote(room_id)}/aliases") == {"aliases": []}


async def test_a_removed_alias_is_not_the_rooms_canonical_one_any_more(alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(room_alias_name="made", invite=[bob.user_id])
    await bob.join(room_id)
    for name in ("#more:one.example", "#bobs:one.example"):
        await bob.ok("PUT", alias(name), json={"room_id": room_id})
    content = {"alias": "#made:one.example", "alt_aliases": ["#more:one.example", "#bobs:one.example"]}
    await alice.set_state(room_id, "m.room.canonical_alias", content)

    await alice.ok("DELETE", alias("#more:one.example"))
    content["alt_aliases"] = ["#bobs:one.example"]
    assert await alice.state(room_id, "m.room.canonical_alias") == content
    await alice.ok("DELETE", alias("#made:one.example"))
    del content["alias"]
    assert await alice.state(room_id, "m.room.canonical_alias") == content
    # Bob may not change the room's state, but his alias goes all the same.
    await bob.ok("DELETE", alias("#bobs:one.example"))
    assert await alice.state(room_id, "m.room.canonical_alias") == content
