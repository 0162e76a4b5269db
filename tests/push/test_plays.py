"""What happens between Alice, Bob, and the telephone in Bob's pocket."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from services.push.delivery.observations import GatewayFails
from storage.push.pushers import stored_pushers
from tests.client_api.test_unread import GLOBAL, in_thread, mention, read, text
from tests.fixtures.client import Client
from tests.fixtures.homeserver import Homeserver, MakeHomeserver
from tests.fixtures.push_gateway import PATH, PushGateway, pusher, set_pusher
from tests.fixtures.time import FakeClock

SOUND_AND_HIGHLIGHT = {"sound": "default", "highlight": True}


async def test_the_telephone_hears_once_of_a_mention(
    alice: Client, bob: Client, phone: Client, room: str, gateway: PushGateway
) -> None:
    await alice.ok("PUT", f"profile/{alice.user_id}/displayname", json={"displayname": "Alice"})
    first = await alice.send(room, "hello")
    second = await alice.send(room, mention(bob))
    assert await gateway.next() == {
        "event_id": first,
        "room_id": room,
        "type": "m.room.message",
        "sender": alice.user_id,
        "sender_display_name": "Alice",
        "room_name": "The hall",
        "prio": "low",
        "content": text("hello"),
        "counts": {"unread": gateway.pushes[0]["counts"]["unread"]},
        "devices": gateway.pushes[0]["devices"],
    }
    (device,) = gateway.pushes[0]["devices"]
    assert device.pop("pushkey_ts") > 1_600_000_000
    assert device == {"app_id": "com.example.app", "pushkey": "phone", "data": {"brand": "x"}}
    told = await gateway.next()
    assert (told["event_id"], told["prio"], told["counts"]) == (second, "high", {"unread": 2})
    assert told["devices"][0]["tweaks"] == SOUND_AND_HIGHLIGHT
    await asyncio.sleep(0.3)
    assert gateway.events() == [first, second]


async def test_reading_at_the_desktop_clears_the_badge(
    alice: Client, bob: Client, phone: Client, room: str, gateway: PushGateway
) -> None:
    sent = [await alice.send(room, "hello") for _ in range(3)]
    for _ in sent:
        await gateway.next()
    assert gateway.pushes[-1]["counts"] == {"unread": 3}
    await read(bob, room, sent[1])
    told = await gateway.next()
    assert (told["counts"], "event_id" in told, told["prio"]) == ({"unread": 1}, False, "low")
    await bob.send(room, "I am here")
    assert (await gateway.next())["counts"] == {"unread": 0}


async def test_muting_a_room_at_the_desktop_clears_its_badge(
    alice: Client, bob: Client, room: str, gateway: PushGateway
) -> None:
    other = await alice.create_room(preset="public_chat")
    await bob.join(other)
    await set_pusher(bob, gateway.url)
    for place in (room, room, other):
        await alice.send(place, "hello")
    await gateway.until(lambda: len(gateway.pushes) == 3, 60)
    assert gateway.pushes[-1]["counts"] == {"unread": 3}
    in_room = {"kind": "event_match", "key": "room_id", "pattern": room}
    rule = {"actions": [], "conditions": [in_room]}
    await bob.ok("PUT", f"pushrules/global/override/{room}", json=rule)
    await gateway.until(lambda: len(gateway.pushes) == 4, 60)
    assert (gateway.pushes[-1]["counts"], gateway.pushes[-1].get("event_id")) == ({"unread": 1}, None)


async def test_who_wants_no_badge_gets_none(
    alice: Client, bob: Client, room: str, gateway: PushGateway
) -> None:
    await set_pusher(bob, gateway.url, data={"org.matrix.msc4076.disable_badge_count": True})
    sent = await alice.send(room, "hello")
    assert "counts" not in await gateway.next()
    await read(bob, room, sent)
    await asyncio.sleep(1.5)
    assert len(gateway.pushes) == 1


async def test_a_gateway_that_was_away_is_told_of_what_is_still_unread(
    alice: Client, bob: Client, phone: Client, room: str, gateway: PushGateway
) -> None:
    gateway.status = 503
    sent = [await alice.send(room, f"{n}") for n in range(3)]
    await gateway.until(lambda: gateway.asked)
    await read(bob, room, sent[0])
    gateway.status = 200
    assert [(await gateway.next())["event_id"] for _ in range(2)] == sent[1:]
    last = await alice.send(room, "more")
    assert (await gateway.next())["event_id"] == last
    assert gateway.events() == [*sent[1:], last]


async def test_a_rejected_key_is_forgotten(
    alice: Client, phone: Client, room: str, gateway: PushGateway
) -> None:
    gateway.rejected = ["phone"]
    await alice.send(room, "hello")
    await gateway.next()

    async def pushers() -> list[Any]:
        return list((await phone.ok("GET", "pushers"))["pushers"])

    async with asyncio.timeout(60):
        while await pushers():
            await asyncio.sleep(0.02)
    await alice.send(room, "are you there?")
    await asyncio.sleep(0.3)
    assert gateway.asked == 1


async def test_an_invite_is_told_unless_it_is_not_wanted(
    alice: Client, bob: Client, phone: Client, gateway: PushGateway, homeserver: Homeserver
) -> None:
    room = await alice.create_room(name="Cellar", invite=[bob.user_id])
    told = await gateway.next()
    assert (told["room_id"], told["type"], told["user_is_target"]) == (room, "m.room.member", True)
    assert (told["room_name"], told["content"]["membership"]) == ("Cellar", "invite")
    blocked = {"ignored_users": {alice.user_id: {}}}
    await bob.ok("PUT", f"user/{bob.user_id}/account_data/m.ignored_user_list", json=blocked)
    await alice.create_room(invite=[bob.user_id])
    carol = await homeserver.user("carol")
    other = await carol.create_room(invite=[bob.user_id])
    assert (await gateway.next())["room_id"] == other


async def test_nothing_is_told_of_ignored_users_and_quiet_rooms(
    alice: Client, bob: Client, phone: Client, room: str, gateway: PushGateway
) -> None:
    await bob.ok("PUT", f"{GLOBAL}/room/{room}", json={"actions": []})
    await alice.send(room, "hello")
    heard = await alice.send(room, mention(bob))
    assert (await gateway.next())["event_id"] == heard
    ignored = {"ignored_users": {alice.user_id: {}}}
    await bob.ok("PUT", f"user/{bob.user_id}/account_data/m.ignored_user_list", json=ignored)
    await alice.send(room, mention(bob))
    await asyncio.sleep(0.3)
    assert gateway.events() == [heard]


async def test_of_an_encrypted_room_only_the_event_is_named(
    alice: Client, phone: Client, room: str, gateway: PushGateway
) -> None:
    await alice.set_state(room, "m.room.encryption", {"algorithm": "m.megolm.v1.aes-sha2"})
    sent = await alice.send(
        room, {"algorithm": "m.megolm.v1.aes-sha2", "ciphertext": "x"}, "m.room.encrypted"
    )
    told = await gateway.next()
    assert told.keys() == {"event_id", "room_id", "prio", "counts", "devices"}
    assert (told["event_id"], told["prio"]) == (sent, "high")


async def test_event_id_only(alice: Client, bob: Client, room: str, gateway: PushGateway) -> None:
    await set_pusher(bob, gateway.url, data={"format": "event_id_only"})
    sent = await alice.send(room, mention(bob))
    told = await gateway.next()
    assert told.keys() == {"event_id", "room_id", "prio", "counts", "devices"}
    assert told["event_id"] == sent
    assert told["devices"][0]["data"] == {"brand": "x", "format": "event_id_only"}


async def test_a_pusher_that_is_switched_off_is_told_nothing(
    alice: Client, bob: Client, phone: Client, room: str, gateway: PushGateway
) -> None:
    (shown,) = (await bob.ok("GET", "pushers"))["pushers"]
    assert shown["org.matrix.msc3881.device_id"] == phone.device_id
    await bob.ok("POST", "pushers/set", json=shown | {"org.matrix.msc3881.enabled": False})
    await alice.send(room, "hello")
    await asyncio.sleep(0.3)
    (off,) = (await bob.ok("GET", "pushers"))["pushers"]
    assert off == shown | {"org.matrix.msc3881.enabled": False}
    await bob.ok("POST", "pushers/set", json=shown)
    sent = await alice.send(room, "are you there?")
    assert (await gateway.next())["event_id"] == sent
    await phone.ok("POST", "logout", json={})
    await alice.send(room, "hello?")
    await asyncio.sleep(0.3)
    assert gateway.events() == [sent]


async def test_each_device_of_each_user_is_told_for_itself(
    alice: Client, bob: Client, phone: Client, room: str, gateway: PushGateway, homeserver: Homeserver
) -> None:
    tablet = await bob.log_in()
    await set_pusher(tablet, gateway.url, "tablet")
    sent = [await alice.send(room, f"{n}") for n in range(10)]
    await gateway.until(lambda: len(gateway.pushes) == 20)
    assert gateway.events() == gateway.events("tablet") == sent


async def test_a_user_at_another_device_is_left_in_peace_and_told_later(
    make_homeserver: MakeHomeserver, gateway: PushGateway
) -> None:
    clock = FakeClock()
    homeserver = await make_homeserver(push=gateway.settings, clock=clock)
    alice, bob = await homeserver.user("alice"), await homeserver.user("bob")
    room = await alice.create_room(preset="public_chat")
    await bob.join(room)
    phone, tablet = await bob.log_in(), await bob.log_in()
    await set_pusher(phone, gateway.url, data={"chat.hearth.silent_while_active": True})
    await set_pusher(tablet, gateway.url, "tablet")
    await bob.sync()
    await bob.send(room, "I sit at the desk")
    sent = [await alice.send(room, "hello"), await alice.send(room, "are you there?")]
    await gateway.until(lambda: len(gateway.pushes) == 2)
    await asyncio.sleep(0.3)
    assert (gateway.events(), gateway.events("tablet")) == ([], sent)
    await read(bob, room, sent[0])
    clock.advance(30_000)
    await asyncio.sleep(0.3)
    assert gateway.events() == []
    clock.advance(60_000)
    await gateway.until(lambda: gateway.events() == sent[1:])


async def test_a_gateway_in_a_private_network_is_not_asked_unless_the_operator_says_so(
    alice: Client, bob: Client, room: str, homeserver: Homeserver, gateway: PushGateway
) -> None:
    inside = f"https://127.0.0.1:{gateway.port}{PATH}"
    status, body = await bob.post("pushers/set", pusher(f"http://localhost:{gateway.port}{PATH}"))
    assert (status, body["errcode"]) == (400, "M_INVALID_PARAM")
    await set_pusher(bob, inside)
    await alice.send(room, "hello")
    async with asyncio.timeout(60):
        while not any(isinstance(seen, GatewayFails) for seen in homeserver.observed):
            await asyncio.sleep(0.02)
    assert gateway.asked == 0


@pytest.mark.parametrize("count", [50])
async def test_a_user_has_so_many_pushers(alice: Client, gateway: PushGateway, count: int) -> None:
    for number in range(count):
        await set_pusher(alice, gateway.url, f"{number}")
    status, body = await alice.post("pushers/set", pusher(gateway.url, "one more"))
    assert (status, body["errcode"]) == (400, "M_INVALID_PARAM")
    await set_pusher(alice, gateway.url, "0", lang="fr")


async def are_behind(homeserver: Homeserver, behind: bool) -> None:
    """Returns when the database says so of all pushers."""
    async with asyncio.timeout(60):
        while True:
            async with homeserver.tenant.database.read() as tx:
                if all(one.behind is behind for one in await stored_pushers(tx)):
                    return
            await asyncio.sleep(0.02)


async def test_a_pusher_that_cannot_be_told_is_known_to_be_behind(
    make_homeserver: MakeHomeserver, gateway: PushGateway
) -> None:
    first = await make_homeserver(push=gateway.settings)
    alice, bob = await first.user("alice"), await first.user("bob")
    room = await alice.create_room(preset="public_chat")
    await bob.join(room)
    await set_pusher(bob, gateway.url)
    await set_pusher(bob, gateway.url, "tablet")
    gateway.status = 500
    sent = [await alice.send(room, f"{number}") for number in range(3)]
    await gateway.until(lambda: gateway.asked >= 2)
    await read(bob, room, sent[0])
    await are_behind(first, True)
    gateway.status = 200
    await gateway.until(lambda: len(gateway.events()) + len(gateway.events("tablet")) == 4, 60)
    await are_behind(first, False)
    assert gateway.events() == gateway.events("tablet") == sent[1:]


async def test_a_call_that_nobody_answers_is_missed(
    alice: Client, bob: Client, phone: Client, gateway: PushGateway
) -> None:
    room = await alice.create_room(preset="trusted_private_chat", invite=[bob.user_id])
    await gateway.next()
    await bob.join(room)
    call = {"call_id": "1", "version": "1", "lifetime": 60_000}
    first = await alice.send(room, call | {"offer": {}}, "m.call.invite")
    told = await gateway.next()
    assert (told["event_id"], told["counts"]) == (first, {"unread": 1, "missed_calls": 1})
    assert told["devices"][0]["tweaks"] == {"sound": "ring"}
    await bob.send(room, call | {"answer": {}}, "m.call.answer")
    assert (await gateway.next())["counts"] == {"unread": 0}
    await alice.send(room, "so, as I said")
    assert (await gateway.next())["counts"] == {"unread": 1}


async def test_a_thread_that_is_read_leaves_the_badge(
    alice: Client, bob: Client, phone: Client, room: str, gateway: PushGateway
) -> None:
    root = await alice.send(room, "a topic")
    aside = await alice.send(room, in_thread(root, "aside"))
    await gateway.until(lambda: len(gateway.pushes) == 2)
    assert gateway.pushes[-1]["counts"] == {"unread": 2}
    await read(bob, room, aside, thread=root)
    await gateway.until(lambda: len(gateway.pushes) == 3)
    assert gateway.pushes[-1]["counts"] == {"unread": 1}
    await bob.leave(room)
    await gateway.until(lambda: len(gateway.pushes) == 4)
    assert gateway.pushes[-1]["counts"] == {"unread": 0}
