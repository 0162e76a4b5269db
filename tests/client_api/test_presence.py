"""Presence: who is there, seen by those who share a room, and fading."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import quote

import pytest

from services import presence
from tests.fixtures.client import Client
from tests.fixtures.homeserver import Homeserver, MakeHomeserver
from tests.fixtures.time import FakeClock

MINUTE = 60_000


def status(client: Client) -> str:
    return f"presence/{quote(client.user_id)}/status"


async def share_a_room(alice: Client, bob: Client) -> str:
    room_id = await alice.create_room(invite=[bob.user_id])
    return await bob.join(room_id)


async def presences(client: Client, timeout: int = 0) -> dict[str, dict[str, Any]]:
    """What /sync says anew of who is there."""
    events = (await client.sync(timeout, set_presence="offline")).get("presence", {}).get("events", [])
    return {event["sender"]: event["content"] for event in events}


async def test_presence_is_told_to_those_who_share_a_room(alice: Client, bob: Client) -> None:
    await share_a_room(alice, bob)
    await presences(alice)

    waiting = asyncio.create_task(presences(alice, 10_000))
    await bob.ok("PUT", status(bob), json={"presence": "unavailable", "status_msg": "at lunch ☕"})
    content = (await waiting)[bob.user_id]

    assert (content["presence"], content["status_msg"]) == ("unavailable", "at lunch ☕")
    assert 0 <= content["last_active_ago"] < 10_000
    said = await alice.ok("GET", status(bob))
    assert (said["presence"], said["status_msg"]) == ("unavailable", "at lunch ☕")


async def test_strangers_do_not_see_it(homeserver: Homeserver, alice: Client, bob: Client) -> None:
    await bob.ok("PUT", status(bob), json={"presence": "online"})

    for user_id in (bob.user_id, "@nobody:one.example", "@somebody:two.example"):
        answer, body = await alice.get(f"presence/{quote(user_id)}/status")
        assert (answer, body["errcode"]) == (403, "M_FORBIDDEN")
    assert (await bob.ok("GET", status(bob)))["presence"] == "online"
    assert await presences(alice) == {}


async def test_of_whom_nothing_is_known_is_offline(alice: Client) -> None:
    assert await alice.ok("GET", status(alice)) == {"presence": "offline"}


async def test_the_idle_are_unavailable_and_the_vanished_offline(make_homeserver: MakeHomeserver) -> None:
    clock = FakeClock()
    homeserver = await make_homeserver(clock=clock)
    tenant = homeserver.tenant
    alice, bob = await homeserver.user("alice"), await homeserver.user("bob")
    await share_a_room(alice, bob)
    await bob.ok("PUT", status(bob), json={"presence": "online"})
    assert (await alice.ok("GET", status(bob)))["currently_active"] is True

    for minute in range(1, 6):
        clock.advance(MINUTE)
        await presence.seen(tenant, bob.user_id)
        said = await alice.ok("GET", status(bob))
        assert said["presence"] == ("online" if minute < 5 else "unavailable")
        assert said.get("currently_active", False) is False
        assert said["last_active_ago"] == minute * MINUTE

    await presence.touched(tenant, bob.user_id)
    said = await alice.ok("GET", status(bob))
    assert (said["presence"], said["last_active_ago"], said["currently_active"]) == ("online", 0, True)

    await presences(alice)
    waiting = asyncio.create_task(presences(alice, 10_000))
    await bob.ok("GET", "account/whoami")
    clock.advance(2 * MINUTE)
    assert (await asyncio.wait_for(waiting, 10))[bob.user_id]["presence"] == "offline"
    assert (await alice.ok("GET", status(bob)))["presence"] == "offline"


async def test_a_client_that_syncs_makes_its_user_present(homeserver: Homeserver, alice: Client) -> None:
    tenant = homeserver.tenant
    await presence.seen(tenant, alice.user_id, "offline")
    assert tenant.ephemeral.presence(alice.user_id) is None
    await presence.seen(tenant, alice.user_id)
    assert (await alice.ok("GET", status(alice)))["presence"] == "online"
    before = tenant.ephemeral.position
    await presence.seen(tenant, alice.user_id)
    await presence.touched(tenant, alice.user_id)
    assert tenant.ephemeral.position == before  # too soon to be worth telling


async def test_an_idle_device_does_not_make_an_active_user_idle(make_homeserver: MakeHomeserver) -> None:
    clock = FakeClock()
    homeserver = await make_homeserver(clock=clock)
    alice = await homeserver.user("alice")
    await presence.seen(homeserver.tenant, alice.user_id)
    await presence.seen(homeserver.tenant, alice.user_id, "unavailable")
    assert (await alice.ok("GET", status(alice)))["presence"] == "online"
    clock.advance(MINUTE)
    await presence.seen(homeserver.tenant, alice.user_id, "unavailable")
    assert (await alice.ok("GET", status(alice)))["presence"] == "unavailable"


async def test_who_is_offline_on_purpose_stays_so(homeserver: Homeserver, alice: Client) -> None:
    await alice.ok("PUT", status(alice), json={"presence": "offline"})
    await presence.touched(homeserver.tenant, alice.user_id)
    assert (await alice.ok("GET", status(alice)))["presence"] == "offline"


async def test_presence_can_be_switched_off(make_homeserver: MakeHomeserver) -> None:
    homeserver = await make_homeserver(presence_enabled=False)
    alice = await homeserver.user("alice")
    await alice.ok("PUT", status(alice), json={"presence": "online"})
    await alice.sync()
    assert await alice.ok("GET", status(alice)) == {"presence": "offline"}


@pytest.mark.parametrize(
    ("body", "errcode"),
    [
        ({}, "M_MISSING_PARAM"),
        ({"presence": "busy"}, "M_INVALID_PARAM"),
        ({"presence": 5}, "M_BAD_JSON"),
        ({"presence": "online", "status_msg": 5}, "M_BAD_JSON"),
        ({"presence": "online", "status_msg": "x" * 1001}, "M_INVALID_PARAM"),
    ],
)
async def test_nonsense_is_refused(alice: Client, body: dict[str, Any], errcode: str) -> None:
    answer, said = await alice.put(status(alice), body)
    assert (answer, said["errcode"]) == (400, errcode)


async def test_nobody_sets_the_presence_of_others(alice: Client, bob: Client) -> None:
    answer, body = await bob.put(status(alice), {"presence": "offline"})
    assert (answer, body["errcode"]) == (403, "M_FORBIDDEN")


async def test_the_device_that_was_in_use_says_itself_that_it_is_idle(alice: Client, bob: Client) -> None:
    await share_a_room(alice, bob)
    await alice.ok("PUT", status(alice), json={"presence": "online"})
    phone = await alice.log_in()

    await phone.sync(set_presence="unavailable")
    assert (await bob.ok("GET", status(alice)))["presence"] == "online"
    await alice.sync(set_presence="unavailable")
    assert (await bob.ok("GET", status(alice)))["presence"] == "unavailable"
