"""How much of the server one user, one device, one address or one room may take."""

from __future__ import annotations

import asyncio

from services.settings import Guards, RateLimit, RateLimits
from tests.fixtures.client import Client
from tests.fixtures.homeserver import MakeHomeserver
from tests.fixtures.time import FakeClock


async def _say(client: Client, room_id: str, times: int) -> list[int]:
    path = f"rooms/{room_id}/send/m.room.message"
    body = {"msgtype": "m.text", "body": "hello"}
    return [(await client.put(f"{path}/{client.device_id}{n}", body))[0] for n in range(times)]


async def test_one_device_leaves_the_others_of_its_user_some(make_homeserver: MakeHomeserver) -> None:
    buckets = {"messages": RateLimit(1, 10), "general": RateLimit(100, 1000)}
    clock = FakeClock()
    homeserver = await make_homeserver(clock=clock, rate_limits=RateLimits(True, buckets, device_share=0.8))
    bot = await homeserver.user("alice")
    phone = await bot.log_in()
    room_id = await bot.create_room()
    assert await _say(bot, room_id, 9) == [200] * 8 + [429]
    # The refused one counted against the user, whom one more is left.
    assert await _say(phone, room_id, 2) == [200, 429]


async def test_users_behind_one_address_share_a_larger_bucket(make_homeserver: MakeHomeserver) -> None:
    buckets = {"messages": RateLimit(1, 4), "general": RateLimit(100, 1000)}
    limits = RateLimits(True, buckets, device_share=1, address_factor=1.5)
    homeserver = await make_homeserver(clock=FakeClock(), rate_limits=limits)
    alice, bob = await homeserver.user("alice"), await homeserver.user("bob")
    room_id = await alice.create_room(preset="public_chat")
    await bob.join(room_id)
    assert await _say(alice, room_id, 4) == [200] * 4
    assert await _say(bob, room_id, 3) == [200, 200, 429]


async def test_who_is_in_many_rooms_leaves_one_before_the_next(make_homeserver: MakeHomeserver) -> None:
    guards = Guards(rooms_per_user=2, info_uri="https://one.example/limits")
    homeserver = await make_homeserver(guards=guards)
    alice, bob = await homeserver.user("alice"), await homeserver.user("bob")
    open_room = await bob.create_room(preset="public_chat")
    first, _ = await alice.create_room(), await alice.create_room()
    for status, said in (await alice.post("createRoom"), await alice.post(f"join/{open_room}")):
        assert (status, said["errcode"]) == (403, "M_USER_LIMIT_EXCEEDED")
        assert said["info_uri"] == "https://one.example/limits"
    await alice.leave(first)
    await alice.join(open_room)


async def test_a_full_room_takes_no_more(make_homeserver: MakeHomeserver) -> None:
    homeserver = await make_homeserver(guards=Guards(members_per_room=2))
    alice, bob, carol = [await homeserver.user(name) for name in ("alice", "bob", "carol")]
    room_id = await alice.create_room(preset="public_chat")
    await bob.join(room_id)
    await bob.join(room_id)  # who is in it is not kept out
    status, said = await carol.post(f"join/{room_id}")
    assert (status, said["errcode"]) == (403, "M_RESOURCE_LIMIT_EXCEEDED")
    await bob.leave(room_id)
    await carol.join(room_id)


async def test_invites_are_counted_by_the_hour(make_homeserver: MakeHomeserver) -> None:
    clock = FakeClock()
    free = {"general": RateLimit(1000, 1000), "invites": RateLimit(1000, 1000)}
    homeserver = await make_homeserver(
        clock=clock, guards=Guards(invites_per_hour=3), rate_limits=RateLimits(True, free)
    )
    alice = await homeserver.user("alice")
    room_id = await alice.create_room(invite=["@one:one.example", "@two:one.example"])
    await alice.invite(room_id, "@three:one.example")
    status, said = await alice.post(f"rooms/{room_id}/invite", {"user_id": "@four:one.example"})
    assert (status, said["errcode"]) == (429, "M_LIMIT_EXCEEDED")
    assert 0 < said["retry_after_ms"] <= 20 * 60 * 1000
    clock.advance(said["retry_after_ms"])
    await alice.invite(room_id, "@four:one.example")


async def test_a_user_has_so_many_requests_served_at_once(make_homeserver: MakeHomeserver) -> None:
    homeserver = await make_homeserver(guards=Guards(connections_per_user=2))
    alice, bob = await homeserver.user("alice"), await homeserver.user("bob")
    room_id = await alice.create_room(preset="public_chat")
    first = await alice.sync()
    params = {"since": first["next_batch"], "timeout": 30_000}
    asked = [asyncio.create_task(alice.get("sync", params=params)) for _ in range(3)]
    refused, waiting = await asyncio.wait(asked, timeout=10, return_when=asyncio.FIRST_COMPLETED)
    [(status, said)] = [task.result() for task in refused]
    assert (status, said["errcode"]) == (429, "M_LIMIT_EXCEEDED")
    await bob.join(room_id)  # who is somebody else is served; and this ends the waiting
    for status, reply in await asyncio.gather(*waiting):
        assert status == 200
        assert room_id in reply["rooms"]["join"]
    assert (await alice.get("account/whoami"))[0] == 200
