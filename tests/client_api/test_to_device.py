"""Messages to devices: in order, once each, to whom they are for."""

from __future__ import annotations

import asyncio
from itertools import count
from typing import Any

import pytest

from tests.fixtures.client import Client
from tests.fixtures.homeserver import Homeserver, MakeHomeserver
from tests.fixtures.time import FakeClock

_txns = count()


async def send(
    sender: Client, messages: dict[str, Any], type: str = "m.test", txn_id: str | None = None
) -> None:
    """PUTs the messages, in a transaction of its own unless one is named."""
    path = f"sendToDevice/{type}/{txn_id or f'td{next(_txns)}'}"
    await sender.ok("PUT", path, json={"messages": messages})


async def mail(device: Client, timeout: int = 0) -> list[Any]:
    """The contents that the device's next /sync brings."""
    return [event["content"]["n"] for event in await events(device, timeout)]


async def events(device: Client, timeout: int = 0) -> list[Any]:
    """The messages that the device's next /sync brings."""
    return list((await device.sync(timeout)).get("to_device", {}).get("events", []))


async def test_a_message_reaches_the_one_device_it_is_for(alice: Client, bob: Client) -> None:
    phone = await bob.log_in()
    await send(alice, {bob.user_id: {phone.device_id: {"n": 1}}})
    assert await events(phone) == [{"type": "m.test", "sender": alice.user_id, "content": {"n": 1}}]
    assert await events(bob) == await events(alice) == []


async def test_a_star_stands_for_all_devices_that_are_not_named(alice: Client, bob: Client) -> None:
    phone, tablet = await bob.log_in(), await bob.log_in()
    await send(alice, {bob.user_id: {"*": {"n": "all"}, phone.device_id: {"n": "phone"}}})
    assert (await mail(bob), await mail(phone), await mail(tablet)) == (["all"], ["phone"], ["all"])


async def test_messages_come_in_order_a_hundred_at_a_time(alice: Client, bob: Client) -> None:
    for number in range(120):
        await send(alice, {bob.user_id: {bob.device_id: {"n": number}}})
    assert await mail(bob) == list(range(100))
    assert await mail(bob) == list(range(100, 120))
    assert await mail(bob) == []


async def test_messages_are_delivered_again_until_the_device_goes_on(alice: Client, bob: Client) -> None:
    await bob.sync()
    before = bob.next_batch
    await send(alice, {bob.user_id: {bob.device_id: {"n": 1}}})
    assert await mail(bob) == [1]
    bob.next_batch = before
    assert await mail(bob) == [1]
    assert await mail(bob) == []
    bob.next_batch = before
    assert await mail(bob) == []


async def test_a_waiting_device_gets_a_message_at_once(alice: Client, bob: Client) -> None:
    await bob.sync()
    waiting = asyncio.create_task(mail(bob, 20_000))
    await send(alice, {bob.user_id: {bob.device_id: {"n": 1}}})
    assert await asyncio.wait_for(waiting, 10) == [1]


async def test_a_transaction_counts_once_for_one_device_and_type(alice: Client, bob: Client) -> None:
    laptop = await alice.log_in()
    to_bob = {bob.user_id: {bob.device_id: {"n": 1}}}
    for sender, type in ((alice, "m.a"), (alice, "m.a"), (alice, "m.b"), (laptop, "m.a"), (laptop, "m.a")):
        await send(sender, to_bob, type, "same")
    assert [event["type"] for event in await events(bob)] == ["m.a", "m.b", "m.a"]
    await send(alice, {bob.user_id: {bob.device_id: {"n": 2}}}, "m.a", "same")
    assert await mail(bob) == []


async def test_a_transaction_that_two_processes_try_at_once_counts_once(
    make_homeserver: MakeHomeserver, homeserver: Homeserver, alice: Client, bob: Client
) -> None:
    beside = await make_homeserver(beside=homeserver)
    there = Client(beside.session, beside.url, alice.user_id, alice.device_id, alice.access_token)
    phone = await bob.log_in()
    for number in range(5):
        messages = {bob.user_id: {"*": {"n": number}}, alice.user_id: {"*": {"n": number}}}
        tries = (send(sender, messages, txn_id=f"t{number}") for sender in (alice, there) * 4)
        await asyncio.gather(*tries)
    assert await mail(bob) == await mail(phone) == await mail(alice) == list(range(5))


async def test_a_transaction_is_forgotten_after_some_days(make_homeserver: MakeHomeserver) -> None:
    clock = FakeClock()
    there = await make_homeserver(clock=clock)
    alice = await there.user("alice")
    to_herself = {alice.user_id: {"*": {"n": 1}}}
    for hours, expected in ((0, [1]), (23, []), (25, [1])):
        clock.advance(hours * 3_600_000)
        await alice.ok("GET", "account/whoami")  # whoever comes by sets off the cleaning up
        await asyncio.gather(*there.tenant.logins.tasks)
        await send(alice, to_herself, txn_id="same")
        assert await mail(alice) == expected


async def test_unknown_devices_and_users_get_nothing(alice: Client, bob: Client) -> None:
    messages = {
        bob.user_id: {"UNKNOWN": {"n": 1}, bob.device_id: {"n": 2}},
        "@nobody:one.example": {"*": {"n": 3}},
        "@carol:two.example": {"*": {"n": 4}},
    }
    await send(alice, messages)
    await send(alice, {})
    assert await mail(bob) == [2]


async def test_a_deleted_devices_mail_goes_with_it(alice: Client, bob: Client) -> None:
    phone = await bob.log_in()
    await send(alice, {bob.user_id: {"*": {"n": 1}}})
    await phone.ok("POST", "logout", json={})
    again = await bob.log_in(device_id=phone.device_id)
    assert (await mail(again), await mail(bob)) == ([], [1])


async def test_a_message_that_is_too_large_is_refused_with_all_the_others(alice: Client, bob: Client) -> None:
    messages = {bob.user_id: {bob.device_id: {"n": "x" * 70_000}, "*": {"n": 1}}}
    status, said = await alice.put("sendToDevice/m.test/large", {"messages": messages})
    assert (status, said["errcode"]) == (413, "M_TOO_LARGE")
    assert await mail(bob) == []


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"messages": []},
        {"messages": {"bob": {}}},
        {"messages": {"@bob:one.example": []}},
        {"messages": {"@bob:one.example": {"D": 1}}},
        {"messages": {"@bob:one.example": {"\0": {}}}},
    ],
)
async def test_what_are_no_messages_is_refused(alice: Client, body: dict[str, Any]) -> None:
    status, said = await alice.put("sendToDevice/m.test/1", body)
    assert status == 400
    assert said["errcode"] in ("M_BAD_JSON", "M_MISSING_PARAM", "M_INVALID_PARAM")
