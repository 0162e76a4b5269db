"""What happens between Alice, Bob, and the telephone in Bob's pocket."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.client_api.test_unread import GLOBAL, mention, read, text
from tests.fixtures.client import Client
from tests.fixtures.homeserver import Homeserver
from tests.fixtures.push_gateway import PushGateway, pusher, set_pusher

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

    async with asyncio.timeout(5):
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
    sent = await alice.send(room, {"algorithm": "m.megolm.v1.aes-sha2", "ciphertext": "x"}, "m.room.encrypted")
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


async def test_a_user_at_another_device_is_left_in_peace(
    alice: Client, bob: Client, room: str, gateway: PushGateway
) -> None:
    phone, tablet = await bob.log_in(), await bob.log_in()
    await set_pusher(phone, gateway.url, data={"chat.hearth.silent_while_active": True})
    await set_pusher(tablet, gateway.url, "tablet")
    await bob.sync()
    await bob.send(room, "I sit at the desk")
    sent = await alice.send(room, "hello")
    assert (await gateway.next())["devices"][0]["pushkey"] == "tablet"
    await asyncio.sleep(0.3)
    assert gateway.events() == []
    assert gateway.events("tablet") == [sent]


@pytest.mark.parametrize("count", [50])
async def test_a_user_has_so_many_pushers(alice: Client, gateway: PushGateway, count: int) -> None:
    for number in range(count):
        await set_pusher(alice, gateway.url, f"{number}")
    status, body = await alice.post("pushers/set", pusher(gateway.url, "one more"))
    assert (status, body["errcode"]) == (400, "M_INVALID_PARAM")
    await set_pusher(alice, gateway.url, "0", lang="fr")
