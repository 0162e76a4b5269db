"""Users and aliases that application services make when somebody asks for them (§Querying)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.appservices.conftest import Bridge, MakeBridge
from tests.fixtures.client import Unexpected

GHOST, ALIAS = "@_irc_dora:one.example", "#_irc_tea:one.example"


def makes_users(bridge: Bridge) -> None:
    """From now on the application service registers whomever it is asked for."""

    async def make(request: Any) -> dict[str, Any]:
        await bridge.ghost("_irc_dora")
        ghost = bridge.as_user("_irc_dora")
        await ghost.ok("PUT", f"profile/{GHOST}/displayname", json={"displayname": "Dora"})
        return {}

    bridge.appservice.answers[f"/_matrix/app/v1/users/{GHOST}"] = make


def makes_rooms(bridge: Bridge) -> None:
    """The same for the alias."""

    async def make(request: Any) -> dict[str, Any]:
        await bridge.as_user("_irc_bot").create_room(room_alias_name="_irc_tea", preset="public_chat")
        return {}

    bridge.appservice.answers[f"/_matrix/app/v1/rooms/{ALIAS}"] = make


async def test_a_profile_that_is_looked_at_makes_the_user(bridge: Bridge) -> None:
    makes_users(bridge)
    alice = await bridge.homeserver.user("alice")
    assert await alice.ok("GET", f"profile/{GHOST}") == {"displayname": "Dora"}
    assert bridge.appservice.asked == ["GET /_matrix/app/v1/users/@_irc_dora:one.example"]


async def test_an_invite_makes_the_user(bridge: Bridge) -> None:
    makes_users(bridge)
    alice = await bridge.homeserver.user("alice")
    room = await alice.create_room()
    await alice.invite(room, GHOST)
    assert (await alice.state(room, "m.room.member", GHOST))["displayname"] == "Dora"


async def test_joining_an_alias_makes_the_room(bridge: Bridge) -> None:
    makes_rooms(bridge)
    alice = await bridge.homeserver.user("alice")
    room = await alice.join(ALIAS)
    assert (await alice.state(room, "m.room.canonical_alias"))["alias"] == ALIAS


async def test_what_it_does_not_know_is_not_there_and_not_asked_for_again_at_once(bridge: Bridge) -> None:
    alice = await bridge.homeserver.user("alice")
    for _ in range(3):
        assert (await alice.get(f"profile/{GHOST}"))[0] == 404
    # The specification's path, and the one that it had before.
    assert bridge.appservice.asked == [
        f"GET /_matrix/app/v1/users/{GHOST}",
        f"GET /users/{GHOST}?access_token=hs-token",
    ]


async def test_nobody_is_asked_for_others(bridge: Bridge) -> None:
    alice = await bridge.homeserver.user("alice")
    assert (await alice.get("profile/@bob:one.example"))[0] == 404
    assert (await alice.get("directory/room/%23tea:one.example"))[0] == 404
    assert bridge.appservice.asked == []


async def test_an_application_service_that_is_away_makes_nobody(bridge: Bridge) -> None:
    alice = await bridge.homeserver.user("alice")
    await bridge.appservice.stop()
    assert (await alice.get(f"profile/{GHOST}"))[0] == 404
    assert (await alice.get(f"directory/room/{ALIAS.replace('#', '%23')}"))[0] == 404


async def test_an_old_one_is_asked_by_the_old_paths_with_the_token_in_the_query(bridge: Bridge) -> None:
    async def old(request: Any) -> Any:
        await bridge.ghost("_irc_dora")
        return {}

    bridge.appservice.answers[f"/users/{GHOST}"] = old
    alice = await bridge.homeserver.user("alice")
    assert await alice.ok("GET", f"profile/{GHOST}") == {}


async def test_one_that_knows_the_token_by_the_query_only_gets_it_there(bridge: Bridge) -> None:
    async def by_query(request: Any) -> Any:
        if request.query.get("access_token") != "hs-token":
            return 403
        await bridge.ghost("_irc_dora")
        return {}

    bridge.appservice.answers[f"/_matrix/app/v1/users/{GHOST}"] = by_query
    alice = await bridge.homeserver.user("alice")
    assert await alice.ok("GET", f"profile/{GHOST}") == {}


# -- the aliases of its namespace


async def test_aliases_of_the_namespace_are_its_own(bridge: Bridge) -> None:
    alice = await bridge.homeserver.user("alice")
    room = await alice.create_room(preset="public_chat")
    status, said = await alice.put(f"directory/room/{ALIAS.replace('#', '%23')}", {"room_id": room})
    assert (status, said["errcode"]) == (400, "M_EXCLUSIVE")
    bot = bridge.as_user("_irc_bot")
    await bot.join(room)
    status, said = await bot.put("directory/room/%23tea:one.example", {"room_id": room})
    assert (status, said["errcode"]) == (400, "M_EXCLUSIVE")
    await bot.ok("PUT", f"directory/room/{ALIAS.replace('#', '%23')}", json={"room_id": room})
    ghost = await bridge.ghost(
        "_irc_carol"
    )  # another of its users: the namespace is the application service's
    await ghost.ok("DELETE", f"directory/room/{ALIAS.replace('#', '%23')}")


async def test_a_room_with_an_alias_of_the_namespace_is_of_interest(make_bridge: MakeBridge) -> None:
    namespaces = {
        "users": [{"exclusive": True, "regex": "@_irc_.*"}],
        "aliases": [{"exclusive": False, "regex": "#tea.*"}],
    }
    bridge = await make_bridge(registration={"namespaces": namespaces})
    alice = await bridge.homeserver.user("alice")
    room = await alice.create_room()
    await alice.send(room, "before")
    await alice.ok("PUT", "directory/room/%23tea:one.example", json={"room_id": room})
    await alice.send(room, "while")
    await bridge.appservice.until(bridge.appservice.bodies)
    await alice.ok("DELETE", "directory/room/%23tea:one.example")
    await alice.send(room, "after")
    other = await alice.create_room(room_alias_name="tea2")
    await alice.send(other, "the other room")
    await bridge.appservice.until(lambda: len(bridge.appservice.bodies()) == 2)
    assert bridge.appservice.bodies() == ["while", "the other room"]


async def test_it_logs_nobody_in_who_is_not_its_own(bridge: Bridge) -> None:
    await bridge.homeserver.user("alice")
    body = {"type": "m.login.application_service", "identifier": {"type": "m.id.user", "user": "alice"}}
    with pytest.raises(Unexpected) as refused:
        await bridge.as_user("_irc_bot").ok("POST", "login", json=body)
    assert (refused.value.status, refused.value.errcode) == (403, "M_EXCLUSIVE")
