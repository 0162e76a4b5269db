"""Third-party networks, their directories of rooms, and pings."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.appservices.conftest import Bridge, MakeBridge
from tests.fixtures.appservice import AS_TOKEN, Appservice, registration_file
from tests.fixtures.client import Client
from tests.fixtures.homeserver import MakeHomeserver

INSTANCE = {
    "desc": "Libera",
    "network_id": "libera",
    "fields": {"network": "libera"},
    "icon": "mxc://one.example/l",
}
PROTOCOL = {
    "user_fields": ["network", "nickname"],
    "location_fields": ["network", "channel"],
    "icon": "mxc://one.example/irc",
    "field_types": {"network": {"regexp": ".*", "placeholder": "irc.example"}},
    "instances": [INSTANCE],
}
USER = {"userid": "@_irc_carol:one.example", "protocol": "irc", "fields": {"nickname": "carol"}}
LOCATION = {"alias": "#_irc_tea:one.example", "protocol": "irc", "fields": {"channel": "#tea"}}


@pytest.fixture
async def irc(make_bridge: MakeBridge) -> Bridge:
    """An application service that says that it knows IRC."""
    bridge = await make_bridge(registration={"protocols": ["irc"]})
    bridge.appservice.answers["/_matrix/app/v1/thirdparty/protocol/irc"] = PROTOCOL
    return bridge


async def test_protocols_are_shown_with_instances_that_can_be_named(irc: Bridge) -> None:
    alice = await irc.homeserver.user("alice")
    shown = PROTOCOL | {"instances": [INSTANCE | {"instance_id": "irc|libera"}]}
    assert await alice.ok("GET", "thirdparty/protocols") == {"irc": shown}
    assert await alice.ok("GET", "thirdparty/protocol/irc") == shown
    assert (await alice.get("thirdparty/protocol/xmpp"))[0] == 404


async def test_users_and_locations_are_asked_for(irc: Bridge) -> None:
    alice = await irc.homeserver.user("alice")
    answers = irc.appservice.answers
    answers["/_matrix/app/v1/thirdparty/user/irc"] = [USER, {"nonsense": True}]
    answers["/_matrix/app/v1/thirdparty/location/irc"] = [LOCATION]
    answers["/_matrix/app/v1/thirdparty/user"] = [USER]
    answers["/_matrix/app/v1/thirdparty/location"] = [LOCATION]
    assert await alice.ok("GET", "thirdparty/user/irc", params={"nickname": "carol"}) == [USER]
    assert await alice.ok("GET", "thirdparty/location/irc", params={"channel": "#tea"}) == [LOCATION]
    assert await alice.ok("GET", "thirdparty/user", params={"userid": USER["userid"]}) == [USER]
    assert await alice.ok("GET", "thirdparty/location", params={"alias": LOCATION["alias"]}) == [LOCATION]
    assert irc.appservice.asked == [
        "GET /_matrix/app/v1/thirdparty/user/irc?nickname=carol",
        "GET /_matrix/app/v1/thirdparty/location/irc?channel=#tea",
        "GET /_matrix/app/v1/thirdparty/user?userid=@_irc_carol:one.example",
        "GET /_matrix/app/v1/thirdparty/location?alias=#_irc_tea:one.example",
    ]
    answers["/_matrix/app/v1/thirdparty/user/irc"] = []
    assert (await alice.get("thirdparty/user/irc"))[0] == 404


@pytest.mark.parametrize("nonsense", [[], {}, {"icon": 1}, "text", PROTOCOL | {"instances": {}}, 500])
async def test_nonsense_is_not_passed_on(irc: Bridge, nonsense: Any) -> None:
    irc.appservice.answers["/_matrix/app/v1/thirdparty/protocol/irc"] = nonsense
    irc.appservice.answers["/_matrix/app/v1/thirdparty/user/irc"] = nonsense
    alice = await irc.homeserver.user("alice")
    assert await alice.ok("GET", "thirdparty/protocols") == {}
    assert (await alice.get("thirdparty/user/irc"))[0] == 404


async def test_a_network_has_its_own_directory(irc: Bridge) -> None:
    alice = await irc.homeserver.user("alice")
    bot = irc.as_user("_irc_bot")
    ours, theirs = await alice.create_room(preset="public_chat"), await bot.create_room(name="#tea")
    closed = await alice.create_room()
    assert (await bot.put(f"directory/list/appservice/libera/{closed}", {"visibility": "public"}))[0] == 403
    await bot.join(ours)
    path = f"directory/list/appservice/libera/{theirs}"
    await bot.ok("PUT", path, json={"visibility": "public"})
    await bot.ok("PUT", f"directory/list/appservice/libera/{ours}", json={"visibility": "public"})

    async def listed(**request: Any) -> tuple[set[str], int]:
        said = await alice.ok("POST", "publicRooms", json=request)
        return {room["room_id"] for room in said["chunk"]}, said["total_room_count_estimate"]

    await alice.ok("PUT", f"directory/list/room/{ours}", json={"visibility": "public"})
    assert await listed() == ({ours}, 1)
    assert await listed(third_party_instance_id="irc|libera") == ({ours, theirs}, 2)
    assert await listed(third_party_instance_id="irc|other") == (set(), 0)
    assert await listed(include_all_networks=True) == ({ours, theirs}, 2)
    assert await alice.ok("GET", f"directory/list/room/{theirs}") == {"visibility": "private"}
    await bot.ok("PUT", path, json={"visibility": "private"})
    assert await listed(third_party_instance_id="irc|libera") == ({ours}, 1)
    assert (await alice.put(path, {"visibility": "public"}))[0] == 403
    assert (await bot.put(path, {"visibility": "hidden"}))[1]["errcode"] == "M_INVALID_PARAM"


# -- ping


PING = "/_matrix/client/v1/appservice/irc/ping"


async def test_a_ping_goes_there_and_back(bridge: Bridge) -> None:
    bodies = []

    async def pong(request: Any) -> Any:
        bodies.append(await request.json())
        return {}

    bridge.appservice.answers["/_matrix/app/v1/ping"] = pong
    status, said = await bridge.as_user("_irc_bot").post(PING, {"transaction_id": "meow"})
    assert status == 200
    assert said["duration_ms"] >= 0
    assert bodies == [{"transaction_id": "meow"}]


async def test_a_ping_says_what_is_wrong(bridge: Bridge) -> None:
    bot = bridge.as_user("_irc_bot")
    bridge.appservice.answers["/_matrix/app/v1/ping"] = 403
    status, said = await bot.post(PING)
    assert (status, said["errcode"], said["status"]) == (502, "M_BAD_STATUS", 403)
    assert "M_UNRECOGNIZED" in said["body"]
    await bridge.appservice.stop()
    status, said = await bot.post(PING)
    assert (status, said["errcode"]) == (502, "M_CONNECTION_FAILED")
    status, said = await bot.post(PING.replace("irc", "other"))
    assert (status, said["errcode"]) == (403, "M_FORBIDDEN")
    alice = await bridge.homeserver.user("alice")
    status, said = await alice.post(PING)
    assert (status, said["errcode"]) == (403, "M_FORBIDDEN")


async def test_a_ping_of_one_that_is_slow(bridge: Bridge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.appservices.ping.SECONDS", 0.05)
    never = asyncio.Event()

    async def slow(request: Any) -> Any:
        await never.wait()

    bridge.appservice.answers["/_matrix/app/v1/ping"] = slow
    status, said = await bridge.as_user("_irc_bot").post(PING)
    assert (status, said["errcode"]) == (504, "M_CONNECTION_TIMEOUT")
    never.set()


async def test_a_ping_without_a_url(make_homeserver: MakeHomeserver, tmp_path: Path) -> None:
    homeserver = await make_homeserver(
        appservice_files=(registration_file(tmp_path, Appservice(), url=None),)
    )
    bot = Client(homeserver.session, homeserver.url, access_token=AS_TOKEN)
    status, said = await bot.post(PING)
    assert (status, said["errcode"]) == (400, "M_URL_NOT_SET")
