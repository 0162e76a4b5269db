"""Profiles: names and pictures that rooms show, and further fields."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import quote

import orjson
import pytest

from protocol.ids import UserID
from services.accounts.standing import set_standing
from services.settings import Registration, RegistrationMode
from tests.fixtures.client import Client
from tests.fixtures.homeserver import Homeserver, MakeHomeserver

UNSTABLE = "/_matrix/client/unstable/uk.tcpip.msc4133"


def field(user_id: str, *key: str) -> str:
    return "/".join(("profile", quote(user_id), *(quote(part, safe="") for part in key)))


async def set_field(client: Client, key: str, value: Any) -> None:
    await client.ok("PUT", field(client.user_id, key), json={key: value})


async def member_event(homeserver: Homeserver, room_id: str, user_id: str) -> dict[str, Any]:
    """The content of the member event that stands."""
    async with homeserver.tenant.database.read() as tx:
        json = await tx.fetchval(
            "SELECT e.json FROM current_state JOIN events AS e USING (event_id)"
            " WHERE current_state.room_id = $1 AND current_state.type = 'm.room.member' AND current_state.state_key = $2",
            room_id,
            user_id,
        )
    content: dict[str, Any] = orjson.loads(json)["content"]
    return content


async def test_fields_are_set_read_by_anybody_and_deleted(homeserver: Homeserver, alice: Client) -> None:
    anybody = homeserver.nobody()
    assert await anybody.ok("GET", field(alice.user_id)) == {}

    await set_field(alice, "displayname", "Alice ☕")
    await set_field(alice, "avatar_url", "mxc://one.example/picture")
    await set_field(alice, "m.tz", "Europe/Berlin")
    await set_field(alice, "org.example.pronouns", [{"subject": "she"}, None, 1.5])

    assert await anybody.ok("GET", field(alice.user_id)) == {
        "displayname": "Alice ☕",
        "avatar_url": "mxc://one.example/picture",
        "m.tz": "Europe/Berlin",
        "org.example.pronouns": [{"subject": "she"}, None, 1.5],
    }
    assert await anybody.ok("GET", field(alice.user_id, "m.tz")) == {"m.tz": "Europe/Berlin"}

    for _ in range(2):
        assert await alice.ok("DELETE", field(alice.user_id, "m.tz")) == {}
    status, body = await anybody.get(field(alice.user_id, "m.tz"))
    assert (status, body["errcode"]) == (404, "M_NOT_FOUND")


async def test_the_path_before_it_was_stable_works_too(alice: Client) -> None:
    path = f"{UNSTABLE}/{field(alice.user_id, 'org.example.x')}"
    await alice.ok("PUT", path, json={"org.example.x": 1})
    assert await alice.ok("GET", path) == {"org.example.x": 1}
    await alice.ok("DELETE", path)
    assert (await alice.get(path))[0] == 404


async def test_all_rooms_show_a_new_name_when_it_is_answered(homeserver: Homeserver, alice: Client) -> None:
    rooms = [await alice.create_room() for _ in range(3)]
    left = await alice.create_room()
    await alice.leave(left)

    await set_field(alice, "displayname", "Alice")
    await set_field(alice, "avatar_url", "mxc://one.example/picture")

    for room_id in rooms:
        content = await member_event(homeserver, room_id, alice.user_id)
        assert content == {
            "membership": "join",
            "displayname": "Alice",
            "avatar_url": "mxc://one.example/picture",
        }
    assert (await member_event(homeserver, left, alice.user_id))["membership"] == "leave"

    await alice.ok("DELETE", field(alice.user_id, "avatar_url"))
    content = await member_event(homeserver, rooms[0], alice.user_id)
    assert content == {"membership": "join", "displayname": "Alice"}


@pytest.mark.parametrize("nothing", ["", None])
async def test_an_empty_name_is_no_name(homeserver: Homeserver, alice: Client, nothing: str | None) -> None:
    room_id = await alice.create_room()
    await set_field(alice, "displayname", "Alice")

    await set_field(alice, "displayname", nothing)

    assert await alice.ok("GET", field(alice.user_id)) == {}
    assert await member_event(homeserver, room_id, alice.user_id) == {"membership": "join"}


async def test_a_name_that_stays_the_same_makes_no_event(homeserver: Homeserver, alice: Client) -> None:
    await alice.create_room()
    await set_field(alice, "displayname", "Alice")
    before = homeserver.tenant.feed.position

    await set_field(alice, "displayname", "Alice")

    assert homeserver.tenant.feed.position == before


async def test_what_else_the_member_event_says_is_kept(homeserver: Homeserver, alice: Client) -> None:
    room_id = await alice.create_room()
    content = {"membership": "join", "org.example.mood": "good"}
    await alice.set_state(room_id, "m.room.member", content, alice.user_id)

    await set_field(alice, "displayname", "Alice")

    shown = await member_event(homeserver, room_id, alice.user_id)
    assert shown == content | {"displayname": "Alice"}


@pytest.mark.parametrize(
    ("key", "body", "status", "errcode"),
    [
        ("displayname", {}, 400, "M_MISSING_PARAM"),
        ("displayname", {"displayname": 5}, 400, "M_BAD_JSON"),
        ("displayname", {"displayname": "x" * 257}, 400, "M_INVALID_PARAM"),
        ("avatar_url", {"avatar_url": ["x"]}, 400, "M_BAD_JSON"),
        ("m.tz", {"m.tz": 5}, 400, "M_BAD_JSON"),
        ("org.example.x", [], 400, "M_BAD_JSON"),
        ("Nonsense", {"Nonsense": 1}, 400, "M_INVALID_PARAM"),
        ("org.example." + "x" * 250, {"org.example." + "x" * 250: 1}, 400, "M_KEY_TOO_LARGE"),
        ("org.example.x", {"org.example.x": "x" * 65536}, 400, "M_PROFILE_TOO_LARGE"),
    ],
)
async def test_what_is_no_field_is_refused(
    alice: Client, key: str, body: Any, status: int, errcode: str
) -> None:
    answer, said = await alice.put(field(alice.user_id, key), body)
    assert (answer, said["errcode"]) == (status, errcode)
    assert await alice.ok("GET", field(alice.user_id)) == {}


async def test_the_whole_profile_is_bounded(alice: Client) -> None:
    for number in range(3):
        await set_field(alice, f"org.example.x{number}", "x" * 20_000)
    status, body = await alice.put(field(alice.user_id, "org.example.y"), {"org.example.y": "x" * 20_000})
    assert (status, body["errcode"]) == (400, "M_PROFILE_TOO_LARGE")
    await alice.ok("DELETE", field(alice.user_id, "org.example.x0"))
    await set_field(alice, "org.example.y", "x" * 20_000)


async def test_profiles_of_others_are_not_changed(alice: Client, bob: Client) -> None:
    for method in ("PUT", "DELETE"):
        path = field(alice.user_id, "displayname")
        status, body = await bob.request(method, path, json={"displayname": "Mallory"})
        assert (status, body["errcode"]) == (403, "M_FORBIDDEN")


async def test_who_is_not_here_has_no_profile(alice: Client) -> None:
    for user_id in ("@nobody:one.example", "@somebody:two.example"):
        status, body = await alice.get(field(user_id))
        assert (status, body["errcode"]) == (404, "M_NOT_FOUND")
    status, body = await alice.get(field("nonsense"))
    assert (status, body["errcode"]) == (400, "M_INVALID_PARAM")


async def test_two_processes_do_not_lose_each_others_fields(make_homeserver: MakeHomeserver) -> None:
    one = await make_homeserver()
    two = await make_homeserver(beside=one)
    alice = await one.user("alice")
    there = Client(two.session, two.url, alice.user_id, alice.device_id, alice.access_token)

    await asyncio.gather(*(set_field((alice, there)[n % 2], f"org.example.x{n}", n) for n in range(20)))

    assert len(await alice.ok("GET", field(alice.user_id))) == 20


async def test_rooms_end_with_the_name_that_the_profile_ends_with(
    make_homeserver: MakeHomeserver,
) -> None:
    one = await make_homeserver()
    two = await make_homeserver(beside=one)
    alice = await one.user("alice")
    there = Client(two.session, two.url, alice.user_id, alice.device_id, alice.access_token)
    rooms = [await alice.create_room() for _ in range(3)]

    await asyncio.gather(*(set_field((alice, there)[n % 2], "displayname", f"Alice {n}") for n in range(10)))

    name = (await alice.ok("GET", field(alice.user_id, "displayname")))["displayname"]
    for room_id in rooms:
        assert (await member_event(one, room_id, alice.user_id))["displayname"] == name


async def test_the_suspended_stay_as_they_are(homeserver: Homeserver, alice: Client) -> None:
    await set_standing(homeserver.tenant, UserID(alice.user_id), locked=False, suspended=True)
    for method in ("PUT", "DELETE"):
        path = field(alice.user_id, "displayname")
        status, body = await alice.request(method, path, json={"displayname": "Alice"})
        assert (status, body["errcode"]) == (403, "M_USER_SUSPENDED")


async def test_guests_have_a_name_and_nothing_else(make_homeserver: MakeHomeserver) -> None:
    homeserver = await make_homeserver(registration=Registration(RegistrationMode.OPEN, guests=True))
    guest = homeserver.nobody()
    said = await guest.ok("POST", "register", params={"kind": "guest"}, json={})
    guest.user_id, guest.access_token = said["user_id"], said["access_token"]

    await set_field(guest, "displayname", "Guest")
    for method in ("PUT", "DELETE"):
        path = field(guest.user_id, "avatar_url")
        status, body = await guest.request(method, path, json={"avatar_url": "mxc://one.example/x"})
        assert (status, body["errcode"]) == (403, "M_GUEST_ACCESS_FORBIDDEN")
    assert await guest.ok("GET", field(guest.user_id)) == {"displayname": "Guest"}
