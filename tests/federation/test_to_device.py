"""Messages to devices of other servers' users: once each, in order, whatever happens on the way."""

from __future__ import annotations

import asyncio
from itertools import count
from typing import Any

from services.settings import DAY
from tests.federation.peer import SENDING, MakePeer, crashed
from tests.federation.test_catch_up import failed
from tests.fixtures.client import Client
from tests.fixtures.federation import MakeFederated, MakeLying
from tests.fixtures.homeserver import Homeserver
from tests.fixtures.time import FakeClock

_txns = count()


async def send(sender: Client, messages: dict[str, Any], txn_id: str | None = None) -> None:
    """Sends, in a transaction of its own unless one is named."""
    path = f"sendToDevice/m.test/{txn_id or f'fed{next(_txns)}'}"
    await sender.ok("PUT", path, json={"messages": messages})


async def mail(device: Client, number: int) -> list[Any]:
    """The contents of the messages to the device, once so many have come."""
    found: list[Any] = []

    def has_all(reply: dict[str, Any]) -> bool:
        found.extend(event["content"] for event in reply.get("to_device", {}).get("events", []))
        return len(found) >= number

    await device.sync_until(has_all)
    return found


async def test_messages_reach_devices_of_other_servers(make_federated: MakeFederated) -> None:
    one, two = await make_federated(), await make_federated()
    alice, bob = await one.user("alice"), await two.user("bob")
    phone = await bob.log_in()

    for number in range(5):
        await send(alice, {bob.user_id: {phone.device_id: {"n": number}}})
    await send(alice, {bob.user_id: {"*": {"n": "all"}}, f"@nobody:{two.name}": {"*": {}}})

    assert await mail(phone, 6) == [*({"n": number} for number in range(5)), {"n": "all"}]
    assert await mail(bob, 1) == [{"n": "all"}]


async def test_a_second_try_of_the_client_is_not_a_second_message(
    make_federated: MakeFederated, make_peer: MakePeer
) -> None:
    one, peer = await make_federated(), await make_peer()
    alice = await one.user("alice")
    for _ in range(3):
        await send(alice, {peer.user("bob"): {"D": {"n": 1}}}, "the-same")
    await send(alice, {peer.user("bob"): {"D": {"n": 2}}})

    await peer.until(lambda: len(peer.edus("m.direct_to_device")) == 2)
    told = peer.edus("m.direct_to_device")
    assert [edu["messages"][peer.user("bob")]["D"]["n"] for edu in told] == [1, 2]
    assert all(len(edu["message_id"]) <= 32 for edu in told)
    assert told[0]["sender"] == alice.user_id


async def test_what_was_perhaps_taken_comes_again_under_the_same_id(
    make_federated: MakeFederated, make_peer: MakePeer
) -> None:
    clock = FakeClock()
    one, peer = await make_federated(clock=clock), await make_peer(clock=clock)
    alice = await one.user("alice")
    peer.forgets = 3

    await send(alice, {peer.user("bob"): {"D": {"n": 1}}})
    pause = 0
    for _ in range(3):
        pause = await failed(one, peer, pause)
        clock.advance(pause)
    await peer.until(lambda: len(peer.taken) == 4)

    assert len({edu["message_id"] for edu in peer.edus("m.direct_to_device")}) == 1


async def test_nothing_is_lost_with_a_process(make_federated: MakeFederated, make_peer: MakePeer) -> None:
    clock = FakeClock()
    one, peer = await make_federated(clock=clock), await make_peer(clock=clock)
    alice = await one.user("alice")
    peer.is_up = False
    for number in range(3):
        await send(alice, {peer.user("bob"): {"D": {"n": number}}})
    await failed(one, peer)

    async with crashed(*SENDING):
        await send(alice, {peer.user("bob"): {"D": {"n": 3}}})
        peer.is_up = True
        later = FakeClock(clock.now() + 60_000)
        peer.server.clock = later
        await make_federated(beside=one, name=one.name, clock=later)
        await peer.until(lambda: len(peer.edus("m.direct_to_device")) >= 4)

    told = peer.edus("m.direct_to_device")
    assert [edu["messages"][peer.user("bob")]["D"]["n"] for edu in told] == [0, 1, 2, 3]


async def test_many_messages_go_in_several_edus(make_federated: MakeFederated, make_peer: MakePeer) -> None:
    one, peer = await make_federated(), await make_peer()
    alice = await one.user("alice")
    large = "x" * 30_000

    await send(alice, {peer.user("bob"): {f"D{n}": {"n": n, "large": large} for n in range(9)}})

    def devices() -> list[str]:
        return [
            device
            for edu in peer.edus("m.direct_to_device")
            for messages in edu["messages"].values()
            for device in messages
        ]

    await peer.until(lambda: len(devices()) == 9)
    assert devices() == [f"D{n}" for n in range(9)]
    ids = [edu["message_id"] for edu in peer.edus("m.direct_to_device")]
    assert len(ids) == len(set(ids)) == 5


async def test_messages_of_others_come_once_and_only_from_their_own_server(
    make_federated: MakeFederated, make_peer: MakePeer
) -> None:
    one, peer = await make_federated(), await make_peer()
    alice = await one.user("alice")

    def message(number: int, message_id: str, sender: str) -> dict[str, Any]:
        messages = {alice.user_id: {alice.device_id: {"n": number}}, peer.user("bob"): {"*": {}}}
        content = {"sender": sender, "type": "m.test", "message_id": message_id, "messages": messages}
        return {"edu_type": "m.direct_to_device", "content": content}

    mallory = peer.user("mallory")
    edus = [
        message(1, "a", mallory),
        message(2, "b", f"@bob:{one.name}"),
        {"edu_type": "m.direct_to_device", "content": {"sender": mallory, "messages": 3}},
        message(3, "c", mallory),
    ]
    for _ in range(2):
        assert (await peer.server.transaction(one, [], edus))[0] == 200
    assert (await peer.server.transaction(one, [], [message(4, "d", mallory)]))[0] == 200

    assert await mail(alice, 3) == [{"n": 1}, {"n": 3}, {"n": 4}]


async def test_what_another_server_repeats_after_days_counts_once(
    make_federated: MakeFederated, make_lying: MakeLying
) -> None:
    clock = FakeClock()
    one, liar = await make_federated(clock=clock), await make_lying(clock=clock)
    alice = await one.user("alice")
    content = {
        "sender": f"@eve:{liar.name}",
        "type": "m.test",
        "message_id": "the same",
        "messages": {alice.user_id: {alice.device_id: {"n": 1}}},
    }
    edu = {"edu_type": "m.direct_to_device", "content": content}
    for _ in range(3):
        assert (await liar.transaction(one, [], [edu]))[0] == 200
        clock.advance(2 * DAY)
        await alice.ok("GET", "account/whoami")  # what is old enough is forgotten when somebody is there
        await background_done(one)
    assert await mail(alice, 1) == [{"n": 1}]
    clock.advance(2 * DAY)
    await alice.ok("GET", "account/whoami")
    await background_done(one)
    async with one.tenant.database.read() as tx:
        assert await tx.fetchval("SELECT count(*) FROM to_device_txns") == 0


async def background_done(homeserver: Homeserver) -> None:
    """Returns when what was begun in the background has ended."""
    while tasks := list(homeserver.tenant.logins.tasks):
        await asyncio.wait(tasks)
