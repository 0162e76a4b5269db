"""Account data and tags: what clients keep with the server, and find again at each device."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import quote

import pytest

from tests.fixtures.client import Client
from tests.fixtures.homeserver import Homeserver, MakeHomeserver

ROOM = "!any:one.example"


def data(client: Client, type: str, room_id: str | None = None) -> str:
    in_room = "" if room_id is None else f"/rooms/{quote(room_id)}"
    return f"user/{quote(client.user_id)}{in_room}/account_data/{quote(type, safe='')}"


def tags(client: Client, *tag: str, room_id: str = ROOM) -> str:
    path = ["user", client.user_id, "rooms", room_id, "tags", *tag]
    return "/".join(quote(part, safe="") for part in path)


@pytest.mark.parametrize("room_id", [None, ROOM])
async def test_what_is_kept_is_given_back(alice: Client, room_id: str | None) -> None:
    path = data(alice, "org.example.settings/dark", room_id)
    status, body = await alice.get(path)
    assert (status, body["errcode"]) == (404, "M_NOT_FOUND")

    for content in (
        {"dark": True, "size": 1.5, "nul": "\0", "nested": [{}]},
        {"dark": False},
        {"dark": False},
    ):
        await alice.ok("PUT", path, json=content)
        assert await alice.ok("GET", path) == content


async def test_rooms_users_and_types_are_apart(alice: Client, bob: Client) -> None:
    await alice.ok("PUT", data(alice, "a"), json={"is": "global"})
    await alice.ok("PUT", data(alice, "a", ROOM), json={"is": "of the room"})
    await bob.ok("PUT", data(bob, "a"), json={"is": "bob's"})

    assert await alice.ok("GET", data(alice, "a")) == {"is": "global"}
    assert await alice.ok("GET", data(alice, "a", ROOM)) == {"is": "of the room"}
    assert (await alice.get(data(alice, "b")))[0] == 404
    assert (await alice.get(data(alice, "a", "!other:one.example")))[0] == 404


async def test_devices_are_told_by_sync(alice: Client) -> None:
    room_id = await alice.create_room()
    phone = await alice.log_in()
    await phone.sync()

    waiting = asyncio.create_task(phone.sync(timeout=10_000))
    await alice.ok("PUT", data(alice, "org.example.a"), json={"n": 1})
    assert (await waiting)["account_data"]["events"] == [{"type": "org.example.a", "content": {"n": 1}}]

    await alice.ok("PUT", data(alice, "org.example.a", room_id), json={"n": 2})
    room = (await phone.sync())["rooms"]["join"][room_id]
    assert room["account_data"]["events"] == [{"type": "org.example.a", "content": {"n": 2}}]


@pytest.mark.parametrize("method", ["GET", "PUT"])
async def test_others_may_not_see_it(alice: Client, bob: Client, method: str) -> None:
    for path in (data(alice, "a"), data(alice, "a", ROOM)):
        status, body = await bob.request(method, path, json={})
        assert (status, body["errcode"]) == (403, "M_FORBIDDEN")


@pytest.mark.parametrize("type", ["m.fully_read", "m.push_rules"])
async def test_some_types_are_the_servers_own(alice: Client, type: str) -> None:
    for path in (data(alice, type), data(alice, type, ROOM)):
        status, body = await alice.put(path, {"event_id": "$x"})
        assert (status, body["errcode"]) == (405, "M_BAD_JSON")


@pytest.mark.parametrize(
    ("path_type", "room_id", "body", "errcode"),
    [
        ("a", None, b"[]", "M_BAD_JSON"),
        ("a", None, b"{", "M_NOT_JSON"),
        ("a", ROOM, b"[]", "M_BAD_JSON"),
        ("a", "nonsense", b"{}", "M_INVALID_PARAM"),
        ("x" * 256, None, b"{}", "M_INVALID_PARAM"),
        ("m.tag", ROOM, b'{"tags": {"u.\\u0000": {}}}', "M_BAD_JSON"),
    ],
)
async def test_nonsense_is_refused(
    alice: Client, path_type: str, room_id: str | None, body: bytes, errcode: str
) -> None:
    status, said = await alice.request("PUT", data(alice, path_type, room_id), data=body)
    assert (status, said["errcode"]) == (400, errcode)


async def test_what_is_too_large_is_refused(alice: Client) -> None:
    status, body = await alice.put(data(alice, "a"), {"x": "x" * 300_000})
    assert (status, body["errcode"]) == (413, "M_TOO_LARGE")


async def test_tags_are_put_on_a_room_and_taken_off(alice: Client) -> None:
    assert await alice.ok("GET", tags(alice)) == {"tags": {}}

    await alice.ok("PUT", tags(alice, "m.favourite"), json={"order": 0.25, "org.example": ["é", 1e300]})
    await alice.ok("PUT", tags(alice, 'u."work"/☕'), json={})
    await alice.ok("PUT", tags(alice, "m.favourite"), json={"order": 1})

    expected = {"m.favourite": {"order": 1}, 'u."work"/☕': {}}
    assert await alice.ok("GET", tags(alice)) == {"tags": expected}
    assert await alice.ok("GET", data(alice, "m.tag", ROOM)) == {"tags": expected}

    for _ in range(2):
        await alice.ok("DELETE", tags(alice, "m.favourite"))
    assert await alice.ok("GET", tags(alice)) == {"tags": {'u."work"/☕': {}}}
    await alice.ok("DELETE", tags(alice, "m.lowpriority", room_id="!never:one.example"))


async def test_the_order_keeps_its_value(alice: Client) -> None:
    for order in (0.1, 0.30000000000000004, 0, 1e-7):
        await alice.ok("PUT", tags(alice, "u.x"), json={"order": order})
        assert (await alice.ok("GET", tags(alice)))["tags"]["u.x"] == {"order": order}


async def test_tags_come_by_sync(alice: Client) -> None:
    room_id = await alice.create_room()
    await alice.sync()
    await alice.ok("PUT", tags(alice, "m.favourite", room_id=room_id), json={"order": 0.5})
    room = (await alice.sync())["rooms"]["join"][room_id]
    content = {"tags": {"m.favourite": {"order": 0.5}}}
    assert room["account_data"]["events"] == [{"type": "m.tag", "content": content}]


@pytest.mark.parametrize("odd", [{}, {"tags": []}, {"tags": {"u.x": 5}}])
async def test_account_data_that_is_no_tag_is_written_over(alice: Client, odd: dict[str, Any]) -> None:
    await alice.ok("PUT", data(alice, "m.tag", ROOM), json=odd)
    assert await alice.ok("GET", tags(alice)) == {"tags": {}}
    await alice.ok("DELETE", tags(alice, "u.y"))
    await alice.ok("PUT", tags(alice, "u.x"), json={"order": 0.5})
    assert await alice.ok("GET", tags(alice)) == {"tags": {"u.x": {"order": 0.5}}}


async def test_two_devices_do_not_lose_each_others_tags(make_homeserver: MakeHomeserver) -> None:
    one = await make_homeserver()
    two = await make_homeserver(beside=one)
    alice = await one.user("alice")
    there = Client(two.session, two.url, alice.user_id, alice.device_id, alice.access_token)

    await asyncio.gather(
        *((alice, there)[n % 2].ok("PUT", tags(alice, f"u.{n}"), json={"order": n / 40}) for n in range(40))
    )

    assert len((await alice.ok("GET", tags(alice)))["tags"]) == 40


@pytest.mark.parametrize("body", [b'{"order": "0.5"}', b'{"order": true}', b"[]", b'{"x": "\\u0000"}'])
async def test_a_tag_that_is_none_is_refused(homeserver: Homeserver, alice: Client, body: bytes) -> None:
    status, said = await alice.request("PUT", tags(alice, "u.x"), data=body)
    assert (status, said["errcode"]) == (400, "M_BAD_JSON")
    status, said = await alice.put(tags(alice, "u." + "x" * 255), {})
    assert (status, said["errcode"]) == (400, "M_INVALID_PARAM")


async def test_tags_of_others_are_theirs(alice: Client, bob: Client) -> None:
    for method, path in (("GET", tags(alice)), ("PUT", tags(alice, "u.x")), ("DELETE", tags(alice, "u.x"))):
        status, body = await bob.request(method, path, json={})
        assert (status, body["errcode"]) == (403, "M_FORBIDDEN")


async def test_the_push_rules_are_read_as_account_data_too(alice: Client) -> None:
    assert await alice.ok("GET", data(alice, "m.push_rules")) == await alice.ok("GET", "pushrules/")
    assert (await alice.get(data(alice, "m.push_rules", ROOM)))[0] == 404
