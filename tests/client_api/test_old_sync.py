"""What old clients sync with, and guests look into rooms with."""

from __future__ import annotations

import asyncio
from urllib.parse import quote

from services.settings import Registration, RegistrationMode
from tests.client_api.stored import path
from tests.fixtures.client import Client
from tests.fixtures.homeserver import PASSWORD, Homeserver, MakeHomeserver

READABLE = {"type": "m.room.history_visibility", "content": {"history_visibility": "world_readable"}}


async def _guest(homeserver: Homeserver) -> Client:
    guest = homeserver.nobody()
    said = await guest.ok("POST", "register?kind=guest", json={})
    guest.user_id, guest.access_token = said["user_id"], said["access_token"]
    return guest


async def test_a_guest_looks_into_a_room_and_waits_for_more(make_homeserver: MakeHomeserver) -> None:
    one = await make_homeserver(registration=Registration(RegistrationMode.OPEN, guests=True))
    alice, guest = await one.user("alice"), await _guest(one)
    room = await alice.create_room(initial_state=[READABLE], visibility="public")
    said = [await alice.send(room, f"{n}") for n in range(3)]
    seen = await guest.ok("GET", path(room, "initialSync"), params={"limit": 2})
    assert [event["event_id"] for event in seen["messages"]["chunk"]] == said[1:]
    assert seen["visibility"] == "public"
    assert "membership" not in seen
    assert "m.room.create" in {event["type"] for event in seen["state"]}
    before = await guest.ok(
        "GET", path(room, "messages"), params={"dir": "b", "from": seen["messages"]["start"], "limit": 1}
    )
    assert [event["event_id"] for event in before["chunk"]] == [said[0]]
    asked = {"room_id": room, "from": seen["messages"]["end"], "timeout": 10_000}
    waiting = asyncio.create_task(guest.ok("GET", "events", params=asked))
    elsewhere = await alice.create_room()
    await alice.send(elsewhere, "not for the guest")
    more = await alice.send(room, "more")
    heard = await waiting
    assert [event["event_id"] for event in heard["chunk"]] == [more]
    asked |= {"from": heard["end"], "timeout": 0}
    assert (await guest.ok("GET", "events", params=asked))["chunk"] == []
    hidden = await alice.create_room(preset="public_chat")
    assert (await guest.get(path(hidden, "initialSync")))[0] == 403
    assert (await guest.get("events", params={"room_id": hidden}))[0] == 403
    bob = await one.user("bob")
    assert (await bob.ok("GET", f"events/{more}"))["event_id"] == more
    assert (await bob.get(f"events/{await alice.send(hidden, 'secret')}"))[0] == 404


async def test_a_guest_talks_and_becomes_a_full_account(make_homeserver: MakeHomeserver) -> None:
    one = await make_homeserver(registration=Registration(RegistrationMode.OPEN, guests=True))
    alice, guest = await one.user("alice"), await _guest(one)
    shut = await alice.create_room(preset="public_chat")
    assert (await guest.post(path(shut, "join")))[1]["errcode"] == "M_GUEST_ACCESS_FORBIDDEN"
    rule = {"type": "m.room.guest_access", "content": {"guest_access": "can_join"}}
    room = await alice.create_room(preset="public_chat", initial_state=[rule])
    await guest.ok("POST", path(room, "join"))
    for client in (guest, await _guest(one)):  # as matrix-js-sdk does
        await client.ok("POST", f"join/{quote(room, safe='')}", json={})
    status, answer = await guest.post(f"join/{quote(shut, safe='')}")
    assert (status, answer["errcode"]) == (403, "M_GUEST_ACCESS_FORBIDDEN")
    said = await guest.send(room, "I am new here")
    assert said in [event["event_id"] for event in await alice.messages(room)]
    await guest.sync()
    answer = await alice.send(room, "welcome")
    heard = (await guest.sync(timeout=10_000))["rooms"]["join"][room]["timeline"]["events"]
    assert [event["event_id"] for event in heard] == [answer]
    wanted = {
        "password": PASSWORD,
        "auth": {"type": "m.login.dummy"},
        "guest_access_token": guest.access_token,
    }
    # The name of somebody, another name, and the token of somebody who is no guest.
    for spoilt in ({"username": "alice"}, {"username": "other"}, {"guest_access_token": alice.access_token}):
        assert (await one.nobody().post("register", wanted | spoilt))[1]["errcode"] == "M_FORBIDDEN"
    session = await one.nobody().ok("POST", "register", json=wanted)
    assert session["user_id"] == guest.user_id
    user = Client(
        one.session, one.url, guest.user_id, session["device_id"], session["access_token"], PASSWORD
    )
    for device in (user, guest, await user.log_in()):
        assert (await device.ok("GET", "account/whoami"))["is_guest"] is False
        await device.join(shut)  # guests may not
    assert [event["event_id"] for event in await user.messages(room, limit=1)] == [answer]
    assert (await one.nobody().post("register", wanted))[1]["errcode"] == "M_FORBIDDEN"  # once is enough
    await alice.set_state(room, "m.room.guest_access", {"guest_access": "forbidden"})
    assert (await alice.state(room, "m.room.member", user.user_id))["membership"] == "join"


async def test_initial_sync_tells_of_all_rooms_and_events_goes_on(alice: Client, bob: Client) -> None:
    room, left = await alice.create_room(name="Room"), await alice.create_room()
    await alice.leave(left)
    said = await alice.send(room, "hello")
    await alice.ok("PUT", f"user/{alice.user_id}/account_data/m.custom", json={"a": 1})
    await alice.ok("PUT", f"user/{alice.user_id}/rooms/{room}/account_data/m.here", json={"b": 2})
    invited = await bob.create_room(invite=[alice.user_id])
    found = await alice.ok("GET", "initialSync", params={"limit": 1})
    rooms = {one["room_id"]: one for one in found["rooms"]}
    assert {room_id: one["membership"] for room_id, one in rooms.items()} == {room: "join", invited: "invite"}
    assert [event["event_id"] for event in rooms[room]["messages"]["chunk"]] == [said]
    assert rooms[room]["account_data"] == [{"type": "m.here", "content": {"b": 2}}]
    assert {"type": "m.custom", "content": {"a": 1}} in found["account_data"]
    invite = rooms[invited]["invite"]
    assert (invite["sender"], invite["content"]["membership"]) == (bob.user_id, "invite")
    archived = await alice.ok("GET", "initialSync", params={"archived": "true"})
    assert {one["room_id"] for one in archived["rooms"]} == {room, invited, left}
    await alice.join(invited)
    asked = {"from": found["end"], "timeout": 0}
    heard = await alice.ok("GET", "events", params=asked)
    assert [event["room_id"] for event in heard["chunk"]] == [invited]
    waiting = asyncio.create_task(alice.ok("GET", "events", params={"from": heard["end"], "timeout": 10_000}))
    reply = await bob.send(invited, "welcome")
    assert [event["event_id"] for event in (await waiting)["chunk"]] == [reply]


async def test_nonsense_is_refused(alice: Client) -> None:
    for target in ("events?from=x", "events?room_id=x", "events?timeout=-1", "initialSync?archived=x"):
        status, said = await alice.get(target)
        assert (status, said["errcode"]) == (400, "M_INVALID_PARAM"), target
    assert (await alice.get("events/$no"))[0] == 404
