"""Encrypted bridges: messages to devices, device lists and counts of keys in transactions (MSC3202, MSC4203)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.appservices.conftest import Bridge, MakeBridge
from tests.fixtures.client import Client
from tests.fixtures.crypto import cross_signing_of, device_keys, one_time_keys

DEVICE = "IRCDEVICE"
STABLE = ("to_device", "device_lists", "device_one_time_keys_count", "device_unused_fallback_key_types")
UNSTABLE = {
    "to_device": "de.sorunome.msc2409.to_device",
    "device_lists": "org.matrix.msc3202.device_lists",
    "device_one_time_keys_count": "org.matrix.msc3202.device_one_time_keys_count",
    "device_unused_fallback_key_types": "org.matrix.msc3202.device_unused_fallback_key_types",
}


@pytest.fixture
async def bridge(make_bridge: MakeBridge) -> Bridge:
    """One that asks for all of it."""
    return await make_bridge(registration={"org.matrix.msc3202": True, "receive_ephemeral": True})


@pytest.fixture
async def ghost(bridge: Bridge) -> Client:
    """A user of the application service with a device that was made without a login (MSC4190), and its keys."""
    ghost = await bridge.ghost("_irc_carol")
    assert (await ghost.put(f"devices/{DEVICE}", {"display_name": "bridge"}))[0] == 201
    ghost = bridge.as_user("_irc_carol", DEVICE)
    uploaded = {"device_keys": device_keys(ghost)} | {"one_time_keys": one_time_keys("a", "b")}
    await ghost.ok("POST", "keys/upload", json=uploaded)
    await bridge.appservice.until(lambda: counts(bridge, ghost)[-1:] == [2])
    return ghost


def members(bridge: Bridge, name: str) -> list[Any]:
    """What all transactions say under the name."""
    found = [body[name] for _, body in bridge.appservice.transactions if name in body]
    assert found == [body[UNSTABLE[name]] for _, body in bridge.appservice.transactions]
    return found


def counts(bridge: Bridge, ghost: Client) -> list[int]:
    """How many keys the device was said to have left, time after time."""
    told = members(bridge, "device_one_time_keys_count")
    return [one[ghost.user_id][DEVICE]["signed_curve25519"] for one in told if ghost.user_id in one]


def mail(bridge: Bridge) -> list[Any]:
    """All messages to devices, of each transaction ID once."""
    taken = dict(bridge.appservice.transactions)
    return [message for body in taken.values() for message in body["to_device"]]


async def inbox_size(bridge: Bridge) -> int:
    async with bridge.homeserver.tenant.database.read() as tx:
        return int(await tx.fetchval("SELECT count(*) FROM to_device"))


async def test_messages_to_devices_come_once_and_leave_the_inbox(bridge: Bridge, ghost: Client) -> None:
    alice = await bridge.homeserver.user("alice")
    bridge.appservice.refuses = lambda body: bool(body["to_device"])
    for number in range(3):
        body = {"messages": {ghost.user_id: {DEVICE: {"number": number}}}}
        await alice.ok("PUT", f"sendToDevice/m.custom/{number}", json=body)
    await bridge.appservice.until(lambda: mail(bridge))
    assert await inbox_size(bridge) == 3
    bridge.appservice.refuses = lambda body: False
    await bridge.appservice.until(lambda: len(mail(bridge)) == 3)
    assert mail(bridge) == [
        {
            "type": "m.custom",
            "sender": alice.user_id,
            "content": {"number": number},
            "to_user_id": ghost.user_id,
            "to_device_id": DEVICE,
        }
        for number in range(3)
    ]
    await alice.ok(
        "PUT", "sendToDevice/m.custom/last", json={"messages": {ghost.user_id: {"*": {"last": 1}}}}
    )
    await bridge.appservice.until(lambda: len(mail(bridge)) == 4)
    await alice.ok("PUT", "sendToDevice/m.custom/end", json={"messages": {ghost.user_id: {"*": {}}}})
    await bridge.appservice.until(lambda: len(mail(bridge)) == 5)
    assert await inbox_size(bridge) <= 1  # the last one's transaction may just be being answered


async def test_more_mail_than_goes_into_one_transaction(bridge: Bridge, ghost: Client) -> None:
    alice = await bridge.homeserver.user("alice")
    await bridge.appservice.stop()
    for number in range(150):
        body = {"messages": {ghost.user_id: {DEVICE: {"number": number}}}}
        await alice.ok("PUT", f"sendToDevice/m.custom/{number}", json=body)
    await bridge.appservice.start()
    await bridge.as_user("_irc_bot").ok("POST", "/_matrix/client/v1/appservice/irc/ping", json={})
    await bridge.appservice.until(lambda: len(mail(bridge)) == 150)
    assert [message["content"]["number"] for message in mail(bridge)] == list(range(150))
    assert max(map(len, members(bridge, "to_device"))) <= 100


async def test_many_users_have_more_mail_than_goes_into_one_transaction(
    bridge: Bridge, ghost: Client
) -> None:
    alice = await bridge.homeserver.user("alice")
    others = []
    for number in range(3):
        other = await bridge.ghost(f"_irc_{number}")
        await other.put(f"devices/{DEVICE}", {})
        others.append(other.user_id)
    await bridge.appservice.stop()
    for number in range(110):
        whom = [ghost.user_id] if number < 105 else others
        body = {"messages": {user_id: {DEVICE: {"number": number}} for user_id in whom}}
        await alice.ok("PUT", f"sendToDevice/m.custom/{number}", json=body)
    await bridge.appservice.start()
    await bridge.as_user("_irc_bot").ok("POST", "/_matrix/client/v1/appservice/irc/ping", json={})
    await bridge.appservice.until(lambda: len(mail(bridge)) == 105 + 5 * 3)
    assert {message["to_user_id"] for message in mail(bridge)} == {ghost.user_id, *others}


async def test_it_is_told_how_many_keys_are_left(bridge: Bridge, ghost: Client) -> None:
    alice = await bridge.homeserver.user("alice")
    assert counts(bridge, ghost)[-1] == 2
    claim = {"one_time_keys": {ghost.user_id: {DEVICE: "signed_curve25519"}}}
    for left in (1, 0):
        await alice.ok("POST", "keys/claim", json=claim)
        await bridge.appservice.until(lambda left=left: counts(bridge, ghost)[-1] == left)  # type: ignore[misc]
    await ghost.ok("POST", "keys/upload", json={"fallback_keys": one_time_keys("f", fallback=True)})

    def unused() -> Any:
        return members(bridge, "device_unused_fallback_key_types")[-1].get(ghost.user_id, {}).get(DEVICE)

    await bridge.appservice.until(lambda: unused() == ["signed_curve25519"])
    await alice.ok("POST", "keys/claim", json=claim)
    await bridge.appservice.until(lambda: unused() == [])


async def test_it_is_told_whose_devices_have_changed(bridge: Bridge, ghost: Client) -> None:
    alice, stranger = await bridge.homeserver.user("alice"), await bridge.homeserver.user("stranger")
    encryption = {"type": "m.room.encryption", "content": {"algorithm": "m.megolm.v1.aes-sha2"}}
    room = await alice.create_room(preset="public_chat", initial_state=[encryption])
    await ghost.join(room)

    def told(kind: str) -> set[str]:
        return {user_id for lists in members(bridge, "device_lists") for user_id in lists[kind]}

    await bridge.appservice.until(lambda: alice.user_id in told("changed"))
    bridge.appservice.transactions.clear()
    await stranger.ok("POST", "keys/upload", json={"device_keys": device_keys(stranger)})
    await alice.ok("POST", "keys/upload", json={"device_keys": device_keys(alice)})
    await bridge.appservice.until(lambda: alice.user_id in told("changed"))
    assert stranger.user_id not in told("changed")
    await alice.leave(room)
    await bridge.appservice.until(lambda: alice.user_id in told("left"))


async def test_devices_and_keys_without_anybodys_password(bridge: Bridge, ghost: Client) -> None:
    """MSC4190, MSC4326: devices are made and removed, and cross-signing keys replaced, without authentication by stages."""
    for generation in ("one", "another"):
        await ghost.ok("POST", "keys/device_signing/upload", json=cross_signing_of(ghost, generation).body())
    await bridge.as_user("_irc_carol").ok("DELETE", f"devices/{DEVICE}", json={})
    status, said = await ghost.get("account/whoami")
    assert (status, said["errcode"]) == (400, "M_UNKNOWN_DEVICE")


async def test_who_does_not_ask_keeps_its_mail_for_sync(make_bridge: MakeBridge) -> None:
    bridge = await make_bridge()
    alice, ghost = await bridge.homeserver.user("alice"), await bridge.ghost("_irc_carol")
    await ghost.put(f"devices/{DEVICE}", {})
    ghost = bridge.as_user("_irc_carol", DEVICE)
    body = {"messages": {ghost.user_id: {DEVICE: {"a": 1}}}}
    await alice.ok("PUT", "sendToDevice/m.custom/1", json=body)
    assert [message["content"] for message in (await ghost.sync())["to_device"]["events"]] == [{"a": 1}]
    assert all(body.keys() == {"events"} for _, body in bridge.appservice.transactions)
