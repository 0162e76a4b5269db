"""What other servers have been told of devices that are no more is forgotten; what they have not been told is not."""

from __future__ import annotations

from services.servers.device_changes import EVERY, WAITED_FOR
from services.settings import DAY
from storage.keys.device_changes import prune
from tests.federation.peer import MakePeer, Peer, written_down
from tests.fixtures.client import Client
from tests.fixtures.crypto import device_keys
from tests.fixtures.federation import MakeFederated
from tests.fixtures.homeserver import Homeserver
from tests.fixtures.time import FakeClock


async def changes(homeserver: Homeserver) -> set[str]:
    """The devices of which a change is kept."""
    async with homeserver.tenant.database.read() as tx:
        return {row["device_id"] for row in await tx.fetch("SELECT device_id FROM device_changes")}


async def pruned(homeserver: Homeserver, since: int = 0) -> set[str]:
    """The same, when what need not be kept is gone."""
    async with homeserver.tenant.database.transaction() as tx:
        await prune(tx, since)
    return await changes(homeserver)


async def with_keys(device: Client) -> Client:
    """The device has keys."""
    await device.ok("POST", "keys/upload", json={"device_keys": device_keys(device)})
    return device


async def two_devices_are_gone(one: Homeserver, peer: Peer) -> tuple[Client, list[str]]:
    """Alice shares a room with the peer, and has had two more devices; with the IDs of these."""
    alice = await with_keys(await one.user("alice"))
    room_id = await alice.create_room(preset="public_chat")
    await peer.joins(one, room_id)
    others = [await with_keys(await alice.log_in()) for _ in range(2)]
    await peer.until(lambda: len(peer.edus("m.device_list_update")) >= 2)
    for other in others:
        await other.ok("POST", "logout", json={})
    return alice, [other.device_id for other in others]


async def test_when_all_have_been_told(make_federated: MakeFederated, make_peer: MakePeer) -> None:
    one, peer = await make_federated(), await make_peer()
    alice, gone = await two_devices_are_gone(one, peer)
    await peer.until(lambda: sum(edu.get("deleted", False) for edu in peer.edus("m.device_list_update")) == 2)
    await written_down(one, peer)
    assert await pruned(one) == {
        alice.device_id,
        gone[1],
    }  # the last has the number that the next goes on from
    another = await with_keys(await alice.log_in())
    await peer.until(lambda: peer.edus("m.device_list_update")[-1]["device_id"] == another.device_id)
    deleted = [edu for edu in peer.edus("m.device_list_update") if edu.get("deleted")]
    assert peer.edus("m.device_list_update")[-1]["prev_id"] == [deleted[-1]["stream_id"]]
    await written_down(one, peer)
    assert await pruned(one) == {alice.device_id, another.device_id}


async def test_who_is_away_is_waited_for_but_not_for_ever(
    make_federated: MakeFederated, make_peer: MakePeer
) -> None:
    clock = FakeClock()
    one, peer = await make_federated(clock=clock), await make_peer(clock=clock)
    alice = await with_keys(await one.user("alice"))
    room_id = await alice.create_room(preset="public_chat")
    await peer.joins(one, room_id)
    other, third = await with_keys(await alice.log_in()), await with_keys(await alice.log_in())
    await peer.until(lambda: len(peer.edus("m.device_list_update")) >= 2)
    peer.is_up = False
    tried = len(peer.asked)
    await other.ok("POST", "logout", json={})
    await with_keys(await alice.log_in())
    await peer.until(lambda: len(peer.asked) > tried)
    assert other.device_id in await pruned(one)

    async with one.tenant.database.transaction() as tx:
        await tx.execute("UPDATE destinations SET failing_since = $1", clock.now() - WAITED_FOR - DAY)
    clock.advance(EVERY)
    for _ in range(500):
        if other.device_id not in await changes(one):
            break
    assert other.device_id not in await changes(one)
    assert third.device_id in await changes(one)
