"""Typing notifications: seen by the room, until they end."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import quote

import pytest

from tests.fixtures.client import Client
from tests.fixtures.homeserver import Homeserver, MakeHomeserver
from tests.fixtures.time import FakeClock


def typing(client: Client, room_id: str) -> str:
    return f"rooms/{quote(room_id)}/typing/{quote(client.user_id)}"


async def room_of(alice: Client, *others: Client) -> str:
    room_id = await alice.create_room(invite=[other.user_id for other in others])
    for other in others:
        await other.join(room_id)
    return room_id


async def typers(client: Client, room_id: str, timeout: int = 10_000) -> list[str] | None:
    """Who types, as /sync says anew; None when it says nothing of it."""
    room = (await client.sync(timeout))["rooms"]["join"][room_id]
    said = [event for event in room["ephemeral"]["events"] if event["type"] == "m.typing"]
    return list(said[0]["content"]["user_ids"]) if said else None


async def test_others_see_who_types(alice: Client, bob: Client) -> None:
    room_id = await room_of(alice, bob)
    await alice.sync()

    waiting = asyncio.create_task(typers(alice, room_id))
    await bob.ok("PUT", typing(bob, room_id), json={"typing": True, "timeout": 20_000})
    assert await waiting == [bob.user_id]

    waiting = asyncio.create_task(typers(alice, room_id))
    await bob.ok("PUT", typing(bob, room_id), json={"typing": False})
    assert await waiting == []


async def test_typing_ends_by_itself(make_homeserver: MakeHomeserver) -> None:
    clock = FakeClock()
    homeserver = await make_homeserver(clock=clock)
    alice, bob = await homeserver.user("alice"), await homeserver.user("bob")
    room_id = await room_of(alice, bob)
    await bob.ok("PUT", typing(bob, room_id), json={"typing": True, "timeout": 5000})
    assert await typers(alice, room_id) == [bob.user_id]

    waiting = asyncio.create_task(typers(alice, room_id))
    await bob.ok("GET", "account/whoami")
    clock.advance(5000)
    assert await asyncio.wait_for(waiting, 10) == []


async def test_nobody_types_for_ever(make_homeserver: MakeHomeserver) -> None:
    clock = FakeClock()
    homeserver = await make_homeserver(clock=clock)
    alice = await homeserver.user("alice")
    room_id = await room_of(alice)
    await alice.ok("PUT", typing(alice, room_id), json={"typing": True, "timeout": 10**12})
    assert homeserver.tenant.ephemeral.typing(room_id) == (alice.user_id,)
    clock.advance(2 * 60_000)
    assert homeserver.tenant.ephemeral.typing(room_id) == ()


async def test_a_timeout_of_nothing_is_no_typing(homeserver: Homeserver, alice: Client) -> None:
    room_id = await room_of(alice)
    await alice.ok("PUT", typing(alice, room_id), json={"typing": True, "timeout": 0})
    assert homeserver.tenant.ephemeral.typing(room_id) == ()


async def test_only_those_in_the_room_type_and_for_themselves(alice: Client, bob: Client) -> None:
    room_id = await room_of(alice)
    for path in (typing(bob, room_id), typing(alice, room_id), typing(bob, "!nowhere:one.example")):
        status, body = await bob.put(path, {"typing": True})
        assert (status, body["errcode"]) == (403, "M_FORBIDDEN")


@pytest.mark.parametrize(
    ("body", "errcode"),
    [
        ({}, "M_MISSING_PARAM"),
        ({"typing": "yes"}, "M_BAD_JSON"),
        ({"typing": True, "timeout": "x"}, "M_BAD_JSON"),
        ({"typing": True, "timeout": -1}, "M_INVALID_PARAM"),
    ],
)
async def test_nonsense_is_refused(alice: Client, body: dict[str, Any], errcode: str) -> None:
    room_id = await room_of(alice)
    status, said = await alice.put(typing(alice, room_id), body)
    assert (status, said["errcode"]) == (400, errcode)


async def test_two_processes_show_the_same_who_types_and_who_is_there(
    make_homeserver: MakeHomeserver, redis_url: str
) -> None:
    one = await make_homeserver(redis_url=redis_url)
    two = await make_homeserver(redis_url=redis_url, beside=one)
    alice, bob = await one.user("alice"), await one.user("bob")
    room_id = await room_of(alice, bob)
    there = Client(two.session, two.url, bob.user_id, bob.device_id, bob.access_token)
    await alice.sync()

    waiting = asyncio.create_task(
        alice.sync_until(lambda said: room_id in said.get("rooms", {}).get("join", {}))
    )
    await there.ok("PUT", typing(there, room_id), json={"typing": True})
    room = (await waiting)["rooms"]["join"][room_id]
    assert room["ephemeral"]["events"] == [{"type": "m.typing", "content": {"user_ids": [bob.user_id]}}]

    # The token of one process is good at the other, which has nothing new to tell.
    moved = Client(two.session, two.url, alice.user_id, alice.device_id, alice.access_token)
    moved.next_batch = alice.next_batch
    assert room_id not in (await moved.sync()).get("rooms", {}).get("join", {})
    await bob.ok("PUT", typing(bob, room_id), json={"typing": False})
    assert await typers(moved, room_id) == []

    await bob.ok("PUT", f"presence/{quote(bob.user_id)}/status", json={"presence": "unavailable"})
    said = await moved.sync_until(lambda said: "presence" in said and said["presence"]["events"])
    assert said["presence"]["events"][-1]["content"]["presence"] == "unavailable"
