"""Application services as their users."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.fixtures.client import Client
from tests.fixtures.homeserver import PASSWORD, Homeserver, MakeHomeserver

TOKEN = "as-token"


def registration(folder: Path) -> Path:
    file = folder / "bridge.yaml"
    users = [{"exclusive": True, "regex": "@_irc_.*:one\\.example"}]
    said = {
        "id": "irc",
        "url": None,
        "as_token": TOKEN,
        "hs_token": "hs-token",
        "sender_localpart": "_irc_bot",
        "namespaces": {"users": users, "aliases": [], "rooms": []},
    }
    file.write_text(yaml.safe_dump(said))
    return file


@pytest.fixture
async def homeserver(make_homeserver: MakeHomeserver, tmp_path: Path) -> Homeserver:
    return await make_homeserver(appservice_files=(registration(tmp_path),))


@pytest.fixture
async def bridge(homeserver: Homeserver) -> Client:
    client = Client(homeserver.session, homeserver.url, access_token=TOKEN)
    for name in ("_irc_bot", "_irc_carol"):
        body = {"type": "m.login.application_service", "username": name}
        status, said = await client.post("register", body | {"inhibit_login": True})
        assert (status, said) == (200, {"user_id": f"@{name}:one.example"})
    return client


async def whoami(client: Client, **params: str) -> Any:
    status, said = await client.get("account/whoami", params=params)
    return said if status == 200 else (status, said["errcode"])


async def test_a_bridge_is_its_bot_or_one_of_its_users(bridge: Client) -> None:
    assert (await whoami(bridge))["user_id"] == "@_irc_bot:one.example"
    assert await whoami(bridge, user_id="@_irc_carol:one.example") == {
        "user_id": "@_irc_carol:one.example",
        "is_guest": False,
    }


@pytest.mark.parametrize(
    "user_id", ["@alice:one.example", "@_irc_carol:two.example", "@_irc_nobody:one.example"]
)
async def test_a_bridge_is_nobody_else(homeserver: Homeserver, bridge: Client, user_id: str) -> None:
    await homeserver.user("alice")
    assert await whoami(bridge, user_id=user_id) == (403, "M_FORBIDDEN")


async def test_a_bridge_makes_and_uses_devices_of_its_users(bridge: Client) -> None:
    of_carol = {"user_id": "@_irc_carol:one.example"}
    assert await whoami(bridge, **of_carol, device_id="IRC") == (400, "M_UNKNOWN_DEVICE")
    assert (await bridge.put("devices/IRC", {"display_name": "IRC"}, params=of_carol))[0] == 201
    assert (await bridge.put("devices/IRC", {"display_name": "irc"}, params=of_carol))[0] == 200
    assert (await whoami(bridge, **of_carol, device_id="IRC"))["device_id"] == "IRC"
    # «without user-interactive authentication» (v1.17)
    assert await bridge.delete("devices/IRC", json={}, params=of_carol) == (200, {})
    assert await whoami(bridge, **of_carol, device_id="IRC") == (400, "M_UNKNOWN_DEVICE")


async def test_a_user_is_never_masked_by_the_query(bridge: Client, homeserver: Homeserver) -> None:
    alice = await homeserver.user("alice")
    assert (await whoami(alice, user_id="@_irc_carol:one.example"))["user_id"] == alice.user_id


async def test_names_of_the_bridge_are_for_the_bridge_only(homeserver: Homeserver) -> None:
    body = {"username": "_irc_dave", "password": PASSWORD, "auth": {"type": "m.login.dummy"}}
    status, said = await homeserver.nobody().post("register", body)
    assert (status, said["errcode"]) == (400, "M_EXCLUSIVE")
    available = await homeserver.nobody().get("register/available", params={"username": "_irc_dave"})
    assert (available[0], available[1]["errcode"]) == (400, "M_EXCLUSIVE")


async def test_a_bridge_registers_nobody_outside_its_namespace(bridge: Client) -> None:
    body = {"type": "m.login.application_service", "username": "alice"}
    status, said = await bridge.post("register", body)
    assert (status, said["errcode"]) == (400, "M_EXCLUSIVE")


async def test_a_bridge_logs_its_users_in(homeserver: Homeserver, bridge: Client) -> None:
    await homeserver.user("alice")
    identifier = {"type": "m.id.user", "user": "_irc_carol"}
    body = {"type": "m.login.application_service", "identifier": identifier}
    status, said = await bridge.post("login", body)
    assert (status, said["user_id"]) == (200, "@_irc_carol:one.example")
    assert (await bridge.post("login", body | {"identifier": identifier | {"user": "alice"}}))[0] == 403
    status, said = await homeserver.nobody().post("login", body)
    assert (status, said["errcode"]) == (401, "M_MISSING_TOKEN")
    alice = Client(homeserver.session, homeserver.url, access_token="hta_wrong")
    assert (await alice.post("login", body))[1]["errcode"] == "M_UNKNOWN_TOKEN"


async def test_a_bridges_own_user_need_not_be_registered(homeserver: Homeserver) -> None:
    client = Client(homeserver.session, homeserver.url, access_token=TOKEN)
    assert (await whoami(client))["user_id"] == "@_irc_bot:one.example"
    assert await whoami(client, user_id="@_irc_carol:one.example") == (403, "M_FORBIDDEN")
    await client.ok("POST", "createRoom", json={})
