"""Device lists and keys of other servers' users: followed by updates, asked for again when one was missed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any
from urllib.parse import quote

from protocol.json import JsonObject
from protocol.signing import SigningKey, sign_json
from services.keys.resync import FIRST_PAUSE
from tests.federation.peer import FEDERATION, PATIENCE, MakePeer, Peer
from tests.federation.plays import join_through, public_room
from tests.fixtures.client import Client
from tests.fixtures.crypto import cross_signing_of, device_keys, one_time_keys
from tests.fixtures.federation import MakeFederated
from tests.fixtures.homeserver import PASSWORD, Homeserver
from tests.fixtures.time import FakeClock

ENCRYPTION = {"algorithm": "m.megolm.v1.aes-sha2"}


async def encrypted_room(creator: Client) -> str:
    """A room that anybody may join, encrypted."""
    state = [{"type": "m.room.encryption", "state_key": "", "content": ENCRYPTION}]
    return await public_room(creator, initial_state=state)


async def queries(client: Client, *users: str) -> dict[str, Any]:
    """The answer to /keys/query for all devices of these users."""
    body = {"device_keys": {user_id: [] for user_id in users}}
    return dict(await client.ok("POST", "keys/query", json=body))


async def uploads_keys(device: Client, curve25519: str = "a curve25519 key") -> None:
    """Uploads the device's identity keys."""
    await device.ok("POST", "keys/upload", json={"device_keys": device_keys(device, curve25519)})


async def finds(client: Client, user_id: str, seen: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    """The answer to /keys/query once it is so; the client asks when its /sync tells it to."""
    while not seen(found := await queries(client, user_id)):
        await client.sync_until(lambda reply: changed(reply, user_id))
    return found


def changed(reply: Mapping[str, Any], user_id: str) -> bool:
    """Does the /sync say that the user's devices are to be looked at again?"""
    return user_id in reply.get("device_lists", {}).get("changed", [])


async def test_new_devices_of_others_are_told_and_found(make_federated: MakeFederated) -> None:
    one, two = await make_federated(), await make_federated()
    alice, bob = await one.user("alice"), await two.user("bob")
    room_id = await encrypted_room(alice)
    await alice.sync()
    await join_through(bob, room_id, one)
    await alice.sync_until(lambda reply: changed(reply, bob.user_id))
    assert (await queries(alice, bob.user_id))["device_keys"] == {bob.user_id: {}}

    def devices(found: dict[str, Any]) -> set[str]:
        return set(found["device_keys"][bob.user_id])

    await uploads_keys(bob)
    found = await finds(alice, bob.user_id, devices)
    assert found["failures"] == {}
    assert found["device_keys"][bob.user_id][bob.device_id]["keys"] == device_keys(bob)["keys"]
    phone = await bob.log_in()
    await uploads_keys(phone)
    await finds(alice, bob.user_id, lambda found: devices(found) == {bob.device_id, phone.device_id})
    await phone.ok("POST", "logout")
    await finds(alice, bob.user_id, lambda found: devices(found) == {bob.device_id})


async def test_cross_signing_keys_and_signatures_cross_over(make_federated: MakeFederated) -> None:
    one, two = await make_federated(), await make_federated()
    alice, bob = await one.user("alice"), await two.user("bob")
    room_id = await encrypted_room(alice)
    await join_through(bob, room_id, one)
    await uploads_keys(bob)
    await queries(alice, bob.user_id)
    await alice.sync()

    keys = cross_signing_of(bob)
    await bob.ok("POST", "keys/device_signing/upload", json=keys.body())
    found = await finds(alice, bob.user_id, lambda found: found["master_keys"])
    assert found["master_keys"][bob.user_id]["keys"] == keys.json("master")["keys"]
    assert found["self_signing_keys"][bob.user_id] == keys.json("self_signing")
    assert found["user_signing_keys"] == {}

    signed = sign_json(device_keys(bob), bob.user_id, keys.self_signing)
    said = await bob.ok("POST", "keys/signatures/upload", json={bob.user_id: {bob.device_id: signed}})
    assert said["failures"] == {}

    def is_signed(found: dict[str, Any]) -> bool:
        device = found["device_keys"][bob.user_id][bob.device_id]
        return bool(device["signatures"][bob.user_id] == signed["signatures"][bob.user_id])

    await finds(alice, bob.user_id, is_signed)

    own = cross_signing_of(alice)
    await alice.ok("POST", "keys/device_signing/upload", json=own.body())
    vouched = sign_json(found["master_keys"][bob.user_id], alice.user_id, own.user_signing)
    body = {bob.user_id: {next(iter(keys.json("master")["keys"])).removeprefix("ed25519:"): vouched}}
    assert (await alice.ok("POST", "keys/signatures/upload", json=body))["failures"] == {}
    master = (await queries(alice, bob.user_id))["master_keys"][bob.user_id]
    assert alice.user_id in master["signatures"]


async def test_one_time_keys_are_claimed_once_across_servers(make_federated: MakeFederated) -> None:
    one, two = await make_federated(), await make_federated()
    alice, bob = await one.user("alice"), await two.user("bob")
    await bob.ok("POST", "keys/upload", json={"one_time_keys": one_time_keys("A", "B")})
    body = {"one_time_keys": {bob.user_id: {bob.device_id: "signed_curve25519", "NONE": "signed_curve25519"}}}

    claimed = [await alice.ok("POST", "keys/claim", json=body) for _ in range(3)]

    names = [list(c["one_time_keys"].get(bob.user_id, {}).get(bob.device_id, {})) for c in claimed]
    assert names == [["signed_curve25519:A"], ["signed_curve25519:B"], []]
    assert all(c["failures"] == {} and "NONE" not in str(c) for c in claimed)


async def test_servers_that_do_not_answer_are_failures_and_harm_nobody_else(
    make_federated: MakeFederated, make_peer: MakePeer
) -> None:
    one, two, peer = await make_federated(), await make_federated(), await make_peer()
    alice, bob = await one.user("alice"), await two.user("bob")
    await uploads_keys(bob)

    found = await queries(alice, bob.user_id, peer.user("mallory"), "@a:localhost:1")

    assert set(found["failures"]) == {peer.name, "localhost:1"}
    assert set(found["device_keys"]) == {bob.user_id}


# -- a peer that says what it likes


def mallorys(peer: Peer, device_id: str, curve25519: str = "x") -> JsonObject:
    """The keys of a device of mallory's."""
    user_id = peer.user("mallory")
    key = SigningKey.from_seed(f"ed25519:{device_id}", b"m" * 32)
    keys = {f"curve25519:{device_id}": curve25519}
    json = {"user_id": user_id, "device_id": device_id, "algorithms": ["m.olm"], "keys": keys}
    return sign_json(json, user_id, key)


class Listed:
    """The peer's side of mallory's device list."""

    def __init__(self, peer: Peer) -> None:
        self.peer, self.user_id = peer, peer.user("mallory")
        self.stream_id = 10
        self.devices = {"ONE": mallorys(peer, "ONE")}
        self.is_up = True
        self.path = f"{FEDERATION}/v1/user/devices/"
        peer.server.on("POST", f"{FEDERATION}/v1/user/keys/query", lambda _: self._said(self.answer()))
        peer.server.on("GET", self.path, lambda _: self._said(self.list()))

    def _said(self, what: JsonObject) -> Any:
        return what if self.is_up else (502, {"errcode": "M_UNKNOWN", "error": "down"})

    def answer(self) -> JsonObject:
        """To a query."""
        return {"device_keys": {self.user_id: self.devices}}

    def list(self) -> JsonObject:
        """The whole list."""
        devices = [{"device_id": device_id, "keys": keys} for device_id, keys in self.devices.items()]
        return {"user_id": self.user_id, "stream_id": self.stream_id, "devices": devices}

    @property
    def queries(self) -> int:
        """How often we were asked for keys."""
        return self.peer.server.times_asked(f"{FEDERATION}/v1/user/keys/query")

    @property
    def lists(self) -> int:
        """How often we were asked for the list."""
        return self.peer.server.times_asked(self.path)

    async def tells(
        self, to: Homeserver, device_id: str, stream_id: int, previous: list[int], **more: Any
    ) -> None:
        """Sends an update."""
        content = {
            "user_id": self.user_id,
            "device_id": device_id,
            "stream_id": stream_id,
            "prev_id": previous,
            "keys": self.devices.get(device_id),
            **more,
        }
        edu = {"edu_type": "m.device_list_update", "content": content}
        assert (await self.peer.server.transaction(to, [], [edu]))[0] == 200


async def sees(client: Client, listed: Listed, *devices: str) -> None:
    """Returns when the client finds just these devices of mallory's."""
    async with asyncio.timeout(PATIENCE):
        while True:
            found = await queries(client, listed.user_id)
            if set(found["device_keys"].get(listed.user_id, {})) == set(devices):
                return
            await asyncio.sleep(0.02)


async def test_a_list_is_copied_and_updates_follow_each_other(
    make_federated: MakeFederated, make_peer: MakePeer
) -> None:
    one, peer = await make_federated(), await make_peer()
    listed = Listed(peer)
    alice = await one.user("alice")
    room_id = await encrypted_room(alice)
    await peer.joins(one, room_id)
    await sees(alice, listed, "ONE")
    await sees(alice, listed, "ONE")
    assert listed.queries == 1

    # The number of the copy is not known yet: the first update leads to the whole list.
    listed.devices["TWO"], listed.stream_id = mallorys(peer, "TWO"), 20
    await listed.tells(one, "TWO", 20, [10])
    await alice.sync_until(lambda reply: changed(reply, listed.user_id))
    await sees(alice, listed, "ONE", "TWO")
    lists = listed.lists
    assert lists == 1

    listed.devices["THREE"] = mallorys(peer, "THREE")
    await listed.tells(one, "THREE", 30, [20])
    await alice.sync_until(lambda reply: changed(reply, listed.user_id))
    await sees(alice, listed, "ONE", "TWO", "THREE")
    await listed.tells(one, "ONE", 40, [30], deleted=True, keys=None)
    await listed.tells(one, "ONE", 30, [20])  # comes twice, and too late
    await alice.sync_until(lambda reply: changed(reply, listed.user_id))
    await sees(alice, listed, "TWO", "THREE")
    assert (listed.queries, listed.lists) == (1, lists)


async def test_a_missed_update_leads_to_the_whole_list_sooner_or_later(
    make_federated: MakeFederated, make_peer: MakePeer
) -> None:
    clock = FakeClock()
    one, peer = await make_federated(clock=clock), await make_peer(clock=clock)
    listed = Listed(peer)
    alice = await one.user("alice")
    room_id = await encrypted_room(alice)
    await peer.joins(one, room_id)
    await sees(alice, listed, "ONE")
    await alice.sync()
    listed.is_up = False
    await listed.tells(one, "TWO", 99, [98])
    async with asyncio.timeout(PATIENCE):
        while listed.lists < 1:
            await asyncio.sleep(0.01)
    found = await queries(alice, listed.user_id)
    assert set(found["failures"]) == {peer.name}

    listed.is_up = True
    listed.devices, listed.stream_id = {"NEW": mallorys(peer, "NEW")}, 99
    async with asyncio.timeout(PATIENCE):
        while listed.lists < 3:
            clock.advance(FIRST_PAUSE)
            await asyncio.sleep(0.05)
            if not await _is_stale(one, listed.user_id):
                break
    asked = listed.queries
    await sees(alice, listed, "NEW")
    assert listed.queries == asked
    assert changed(await alice.sync(), listed.user_id)


async def _is_stale(homeserver: Homeserver, user_id: str) -> bool:
    async with homeserver.tenant.database.read() as tx:
        return bool(await tx.fetchval("SELECT stale FROM remote_device_lists WHERE user_id = $1", user_id))


async def test_no_copy_outlives_the_last_room_that_is_shared(
    make_federated: MakeFederated, make_peer: MakePeer
) -> None:
    one, peer = await make_federated(), await make_peer()
    listed = Listed(peer)
    alice = await one.user("alice")
    room_id = await encrypted_room(alice)
    await peer.joins(one, room_id)
    await sees(alice, listed, "ONE")

    await peer.leaves(one, room_id)
    listed.devices = {"OTHER": mallorys(peer, "OTHER")}
    await sees(alice, listed, "OTHER")
    asked = listed.queries
    await sees(alice, listed, "OTHER")
    assert listed.queries == asked + 1  # one who is not followed is asked for each time

    await peer.joins(one, room_id)
    listed.devices = {"THIRD": mallorys(peer, "THIRD")}
    await sees(alice, listed, "THIRD")
    asked = listed.queries
    await sees(alice, listed, "THIRD")
    assert listed.queries == asked


async def test_of_a_list_that_nobody_asked_for_only_the_change_is_told(
    make_federated: MakeFederated, make_peer: MakePeer
) -> None:
    one, peer = await make_federated(), await make_peer()
    listed = Listed(peer)
    alice, bob = await one.user("alice"), await one.user("bob")
    room_id = await public_room(alice)
    await alice.sync()
    await bob.sync()
    await peer.joins(one, room_id)
    await alice.sync_until(lambda reply: changed(reply, listed.user_id))

    await listed.tells(one, "TWO", 20, [10])

    await alice.sync_until(lambda reply: changed(reply, listed.user_id))
    assert not changed(await bob.sync(), listed.user_id)
    assert listed.queries == 0


async def test_nobody_speaks_for_users_of_others(make_federated: MakeFederated, make_peer: MakePeer) -> None:
    one, peer, liar = await make_federated(), await make_peer(), await make_peer()
    listed = Listed(peer)
    alice = await one.user("alice")
    room_id = await encrypted_room(alice)
    await peer.joins(one, room_id)
    await liar.joins(one, room_id)
    await sees(alice, listed, "ONE")

    content = {"user_id": listed.user_id, "device_id": "EVIL", "stream_id": 5, "prev_id": [4]}
    rubbish = {"user_id": liar.user("mallory"), "device_id": 7, "stream_id": "x", "prev_id": {}}
    edus = [{"edu_type": "m.device_list_update", "content": what} for what in (content, rubbish)]
    edus.append({"edu_type": "m.signing_key_update", "content": {"user_id": listed.user_id}})
    assert (await liar.server.transaction(one, [], edus))[0] == 200

    await sees(alice, listed, "ONE")
    assert (listed.queries, listed.lists) == (1, 0)


async def test_our_updates_name_those_before_them(make_federated: MakeFederated, make_peer: MakePeer) -> None:
    one, peer = await make_federated(), await make_peer()
    alice = await one.user("alice")
    room_id = await encrypted_room(alice)
    await peer.joins(one, room_id)
    phone = await alice.log_in()

    async def told_of(number: int) -> None:  # changes of one device that wait together are told as one
        await peer.until(lambda: len(peer.edus("m.device_list_update")) >= number)

    await uploads_keys(alice)
    await told_of(1)
    await uploads_keys(phone)
    await told_of(2)
    name = {"display_name": "secret"}
    await phone.ok("PUT", f"devices/{quote(phone.device_id)}", json=name)
    await told_of(3)
    await alice.ok("POST", "keys/device_signing/upload", json=cross_signing_of(alice).body())
    await peer.until(lambda: peer.edus("m.signing_key_update"))
    await phone.ok("POST", "logout")
    await told_of(4)

    updates = peer.edus("m.device_list_update")
    assert [update["device_id"] for update in updates] == [alice.device_id, *[phone.device_id] * 3]
    assert updates[0]["keys"] == device_keys(alice)
    assert [update.get("deleted", False) for update in updates] == [False, False, False, True]
    for before, update in pairwise(updates):
        assert update["prev_id"] == [before["stream_id"]]
        assert update["stream_id"] > before["stream_id"]
    assert "secret" not in str(updates)
    [signing] = peer.edus("m.signing_key_update")
    assert set(signing) == {"user_id", "master_key", "self_signing_key"}
    status, whole = await peer.server.request(
        one, "GET", f"{FEDERATION}/v1/user/devices/{quote(alice.user_id)}"
    )
    assert (status, whole["stream_id"]) == (200, updates[-1]["stream_id"])


async def test_a_deactivated_user_has_no_devices_elsewhere(
    make_federated: MakeFederated, make_peer: MakePeer
) -> None:
    one, peer = await make_federated(), await make_peer()
    alice, carol = await one.user("alice"), await one.user("carol")
    room_id = await encrypted_room(alice)
    await carol.join(room_id)
    await peer.joins(one, room_id)
    await uploads_keys(carol)
    await peer.until(lambda: peer.edus("m.device_list_update"))

    auth = {
        "type": "m.login.password",
        "identifier": {"type": "m.id.user", "user": carol.user_id},
        "password": PASSWORD,
    }
    status, said = await carol.post("account/deactivate", {})
    assert status == 401
    await carol.ok("POST", "account/deactivate", json={"auth": auth | {"session": said["session"]}})

    await peer.until(lambda: any(update.get("deleted") for update in peer.edus("m.device_list_update")))
