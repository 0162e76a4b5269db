"""Devices' keys: upload, claim, query, and who is told that they have changed."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.fixtures.client import Client
from tests.fixtures.crypto import device_keys, one_time_keys
from tests.fixtures.homeserver import Homeserver, MakeHomeserver

ALGORITHM = "signed_curve25519"
ENCRYPTED: dict[str, Any] = {
    "preset": "public_chat",
    "initial_state": [{"type": "m.room.encryption", "content": {"algorithm": "m.megolm.v1.aes-sha2"}}],
}


async def upload(device: Client, **body: Any) -> dict[str, int]:
    """The counts that the server answers."""
    return dict((await device.ok("POST", "keys/upload", json=body))["one_time_key_counts"])


async def claim(who: Client, device: Client, algorithm: str = ALGORITHM) -> dict[str, Any]:
    """The key of the device, by its ID; empty when there is none."""
    body = {"one_time_keys": {device.user_id: {device.device_id: algorithm}}}
    said = await who.ok("POST", "keys/claim", json=body)
    return dict(said["one_time_keys"].get(device.user_id, {}).get(device.device_id, {}))


async def query(who: Client, *users: str) -> dict[str, Any]:
    """What the server tells of the users' keys."""
    return dict(await who.ok("POST", "keys/query", json={"device_keys": {user: [] for user in users}}))


async def test_uploaded_device_keys_are_shown_with_the_devices_name(alice: Client, bob: Client) -> None:
    phone = await bob.log_in(initial_device_display_name="Bob's phone")
    keys = device_keys(phone)
    await upload(phone, device_keys=keys | {"unsigned": {"device_display_name": "somebody else's"}})
    found = await query(alice, bob.user_id)
    named = keys | {"unsigned": {"device_display_name": "Bob's phone"}}
    assert found["device_keys"] == {bob.user_id: {phone.device_id: named}}
    assert found["failures"] == {}


async def test_only_the_devices_that_are_asked_for_are_shown(alice: Client, bob: Client) -> None:
    phone = await bob.log_in()
    for device in (bob, phone):
        await upload(device, device_keys=device_keys(device))
    asked = {"device_keys": {bob.user_id: [phone.device_id, "UNKNOWN"], "@nobody:one.example": []}}
    found = await alice.ok("POST", "keys/query", json=asked)
    assert list(found["device_keys"][bob.user_id]) == [phone.device_id]
    assert found["device_keys"]["@nobody:one.example"] == {}


async def test_keys_of_a_deleted_device_are_gone(alice: Client, bob: Client) -> None:
    phone = await bob.log_in()
    await upload(phone, device_keys=device_keys(phone), one_time_keys=one_time_keys("1"))
    await phone.ok("POST", "logout", json={})
    assert (await query(alice, bob.user_id))["device_keys"] == {bob.user_id: {}}
    assert await claim(alice, phone) == {}


async def test_counts_are_those_of_all_algorithms(alice: Client) -> None:
    assert await upload(alice) == {ALGORITHM: 0}
    assert await upload(alice, one_time_keys=one_time_keys("1", "2")) == {ALGORITHM: 2}
    assert await upload(alice, one_time_keys={"curve25519:x": "key"}) == {ALGORITHM: 2, "curve25519": 1}


async def test_the_same_key_may_come_again_and_another_of_its_name_may_not(alice: Client) -> None:
    keys = one_time_keys("1", "2")
    await upload(alice, one_time_keys=keys)
    assert await upload(alice, one_time_keys=keys | one_time_keys("3")) == {ALGORITHM: 3}
    other = {f"{ALGORITHM}:2": {"key": "another", "signatures": {}}, f"{ALGORITHM}:4": "new"}
    status, said = await alice.post("keys/upload", {"one_time_keys": other})
    assert (status, said["errcode"]) == (400, "M_INVALID_PARAM")
    assert await upload(alice) == {ALGORITHM: 3}  # nothing of the refused request was kept


@pytest.mark.parametrize(
    ("body", "errcode"),
    [
        ({"device_keys": {"user_id": "@bob:one.example", "device_id": "X"}}, "M_INVALID_PARAM"),
        ({"device_keys": []}, "M_BAD_JSON"),
        ({"one_time_keys": {"nocolon": "key"}}, "M_INVALID_PARAM"),
        ({"one_time_keys": {"curve25519:\0": "key"}}, "M_INVALID_PARAM"),
        ({"one_time_keys": {"curve25519:" + "x" * 3000: "key"}}, "M_INVALID_PARAM"),
        ({"one_time_keys": {"curve25519:x": 1}}, "M_BAD_JSON"),
        ({"one_time_keys": {"curve25519:x": {"key": "k", "signatures": 1}}}, "M_BAD_JSON"),
        ({"one_time_keys": {"curve25519:x": {"key": "k", "more": 1.5}}}, "M_BAD_JSON"),
        ({"fallback_keys": "none"}, "M_BAD_JSON"),
    ],
)
async def test_wrong_uploads_are_refused(alice: Client, body: dict[str, Any], errcode: str) -> None:
    status, said = await alice.post("keys/upload", body)
    assert (status, said["errcode"]) == (400, errcode)


@pytest.mark.parametrize(
    "change", [{"algorithms": "x"}, {"keys": {"a:b": 1}}, {"keys": None}, {"signatures": {"x": []}}]
)
async def test_malformed_device_keys_are_refused(alice: Client, change: dict[str, Any]) -> None:
    status, said = await alice.post("keys/upload", {"device_keys": device_keys(alice) | change})
    assert (status, said["errcode"]) == (400, "M_BAD_JSON")


async def test_fifty_keys_claimed_by_ten_at_once_are_handed_out_once_each_and_in_order(
    homeserver: Homeserver, bob: Client
) -> None:
    names = [f"{number:03}" for number in range(60)]
    for first in range(0, 60, 10):
        await upload(bob, one_time_keys=one_time_keys(*names[first : first + 10]))
    others = await asyncio.gather(*(homeserver.user(f"user{number}") for number in range(10)))
    rounds = []
    for _ in range(5):
        claimed = await asyncio.gather(*(claim(other, bob) for other in others))
        rounds.append(sorted(key_id.partition(":")[2] for keys in claimed for key_id in keys))
    # Each round of ten gets the ten oldest keys that are left: nobody's wait makes another pass a key over.
    assert rounds == [names[first : first + 10] for first in range(0, 50, 10)]
    assert await upload(bob) == {ALGORITHM: 10}


async def test_fifty_keys_claimed_by_ten_who_do_not_wait_for_each_other(
    homeserver: Homeserver, bob: Client
) -> None:
    names = [f"{number:03}" for number in range(50)]
    await upload(bob, one_time_keys=one_time_keys(*names))
    others = await asyncio.gather(*(homeserver.user(f"user{number}") for number in range(10)))

    async def five(other: Client) -> list[str]:
        return [key_id.partition(":")[2] for _ in range(5) for key_id in await claim(other, bob)]

    claimed = await asyncio.gather(*map(five, others))
    assert all(len(keys) == 5 for keys in claimed)
    assert all(keys == sorted(keys) for keys in claimed)  # for each of them, in the order of upload
    assert sorted(key for keys in claimed for key in keys) == names


async def test_a_fallback_key_is_handed_out_again_and_again(alice: Client, bob: Client) -> None:
    one, fallback = one_time_keys("1"), one_time_keys("F", fallback=True)
    await upload(bob, one_time_keys=one, fallback_keys=fallback)
    assert await claim(alice, bob) == one
    assert await claim(alice, bob) == fallback
    assert await claim(alice, bob) == fallback
    assert await claim(alice, bob, "another_algorithm") == {}


async def test_sync_tells_of_fallback_keys_that_were_not_used(alice: Client, bob: Client) -> None:
    fallback = one_time_keys("F", fallback=True)
    await upload(bob, fallback_keys=fallback)
    assert (await bob.sync())["device_unused_fallback_key_types"] == [ALGORITHM]
    await claim(alice, bob)
    assert (await bob.sync())["device_unused_fallback_key_types"] == []
    await upload(bob, fallback_keys=fallback)  # the same key is as used as it was
    assert (await bob.sync())["device_unused_fallback_key_types"] == []
    await upload(bob, fallback_keys=one_time_keys("G", fallback=True))
    assert (await bob.sync())["device_unused_fallback_key_types"] == [ALGORITHM]


async def test_a_waiting_device_learns_that_its_keys_dwindle(alice: Client, bob: Client) -> None:
    await upload(bob, one_time_keys=one_time_keys("1", "2"))
    assert (await bob.sync())["device_one_time_keys_count"] == {ALGORITHM: 2}
    waiting = asyncio.create_task(bob.sync(timeout=20_000))
    await claim(alice, bob)
    assert (await asyncio.wait_for(waiting, 10))["device_one_time_keys_count"] == {ALGORITHM: 1}
    await upload(bob, one_time_keys=one_time_keys("3", "4"))
    assert (await bob.sync())["device_one_time_keys_count"] == {ALGORITHM: 3}


async def test_servers_that_cannot_be_asked_are_failures(alice: Client) -> None:
    there = "@carol:two.example"
    assert list((await query(alice, there, alice.user_id))["failures"]) == ["two.example"]
    claims = {"one_time_keys": {there: {"D": ALGORITHM}, alice.user_id: {"D": ALGORITHM}}}
    said = await alice.ok("POST", "keys/claim", json=claims)
    assert (list(said["failures"]), said["one_time_keys"]) == (["two.example"], {})


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("keys/query", {}),
        ("keys/query", {"device_keys": {"@a:b": "x"}}),
        ("keys/query", {"device_keys": {"nobody": []}}),
        ("keys/query", {"device_keys": {"@a:b": ["\0"]}}),
        ("keys/claim", {}),
        ("keys/claim", {"one_time_keys": {"nobody": {}}}),
        ("keys/claim", {"one_time_keys": {"@a:one.example": {"D": 1}}}),
        ("keys/claim", {"one_time_keys": {"@a:one.example": {"\0": "x"}}}),
    ],
)
async def test_senseless_questions_are_refused(alice: Client, path: str, body: dict[str, Any]) -> None:
    status, said = await alice.post(path, body)
    assert status == 400
    assert said["errcode"] in ("M_BAD_JSON", "M_MISSING_PARAM", "M_INVALID_PARAM")


async def changes(who: Client, since: str, upto: str) -> tuple[set[str], set[str]]:
    """Of /keys/changes: `changed` and `left`."""
    said = await who.ok("GET", "keys/changes", params={"from": since, "to": upto})
    return set(said["changed"]), set(said["left"])


async def synced(who: Client) -> tuple[set[str], set[str]]:
    """Of /sync: `changed` and `left`; /keys/changes must say the same."""
    since = who.next_batch
    lists = (await who.sync()).get("device_lists", {})
    found = set(lists.get("changed", [])), set(lists.get("left", []))
    assert since is not None
    assert who.next_batch is not None
    assert await changes(who, since, who.next_batch) == found
    return found


async def test_who_shares_a_room_is_told_of_new_keys(
    homeserver: Homeserver, alice: Client, bob: Client
) -> None:
    stranger = await homeserver.user("stranger")
    await bob.join(await alice.create_room(preset="public_chat"))
    for user in (alice, bob, stranger):
        await user.sync()
    await upload(alice, device_keys=device_keys(alice))
    assert await synced(bob) == ({alice.user_id}, set())
    assert await synced(alice) == ({alice.user_id}, set())
    assert await synced(stranger) == (set(), set())
    await upload(alice, device_keys=device_keys(alice))  # the same again is no news
    await upload(alice, one_time_keys=one_time_keys("1"))
    assert await synced(bob) == (set(), set())


async def test_a_waiting_user_is_woken_by_a_friends_new_keys(alice: Client, bob: Client) -> None:
    await bob.join(await alice.create_room(preset="public_chat"))
    await bob.sync()
    waiting = asyncio.create_task(bob.sync(timeout=20_000))
    await upload(alice, device_keys=device_keys(alice))
    assert (await asyncio.wait_for(waiting, 10))["device_lists"]["changed"] == [alice.user_id]


@pytest.mark.parametrize("more", [ENCRYPTED, {"preset": "public_chat"}])
async def test_who_comes_into_a_room_is_news_on_both_sides(
    alice: Client, bob: Client, more: dict[str, Any]
) -> None:
    room = await alice.create_room(**more)
    await alice.sync()
    await bob.sync()
    await bob.join(room)
    assert await synced(alice) == ({bob.user_id}, set())
    assert await synced(bob) == ({alice.user_id, bob.user_id}, set())


async def test_a_room_that_becomes_encrypted_makes_its_members_news(alice: Client, bob: Client) -> None:
    room = await alice.create_room(preset="public_chat")
    await bob.join(room)
    await bob.sync()
    await alice.set_state(room, "m.room.encryption", {"algorithm": "m.megolm.v1.aes-sha2"})
    assert await synced_after(bob) == ({alice.user_id}, set())


async def synced_after(who: Client) -> tuple[set[str], set[str]]:
    """Of /keys/changes, up to a sync of now."""
    since = who.next_batch
    await who.sync()
    assert since is not None
    assert who.next_batch is not None
    return await changes(who, since, who.next_batch)


async def test_who_leaves_the_last_room_in_common_is_left_on_both_sides(alice: Client, bob: Client) -> None:
    one, two = await alice.create_room(**ENCRYPTED), await alice.create_room(**ENCRYPTED)
    for room in (one, two):
        await bob.join(room)
    await alice.sync()
    await bob.sync()
    await bob.leave(one)
    assert (await synced(alice), await synced(bob)) == ((set(), set()), (set(), set()))
    await bob.leave(two)
    assert await synced(alice) == (set(), {bob.user_id})
    assert await synced(bob) == (set(), {alice.user_id})


async def test_who_turns_an_invite_down_does_not_learn_who_is_in_the_room(
    homeserver: Homeserver, alice: Client, bob: Client
) -> None:
    carol = await homeserver.user("carol")
    room = await alice.create_room(**ENCRYPTED)
    await carol.join(room)
    await bob.sync()
    await alice.sync()
    await alice.invite(room, bob)
    await bob.leave(room)
    assert await synced(bob) == (set(), set())
    assert await synced(alice) == (set(), set())


async def test_changes_want_tokens(alice: Client) -> None:
    for params in ({}, {"from": "s1_0"}, {"from": "x", "to": "s1_0"}):
        status, said = await alice.get("keys/changes", params=params)
        assert status == 400
        assert said["errcode"] in ("M_MISSING_PARAM", "M_INVALID_PARAM")
    assert await changes(alice, "s9_0", "s1_0") == (set(), set())


async def test_two_processes_hand_out_each_key_once(
    make_homeserver: MakeHomeserver, homeserver: Homeserver, alice: Client, bob: Client
) -> None:
    beside = await make_homeserver(beside=homeserver)
    names = [f"{number:03}" for number in range(20)]
    await upload(bob, one_time_keys=one_time_keys(*names))
    there = Client(beside.session, beside.url, alice.user_id, alice.device_id, alice.access_token)
    claimed = await asyncio.gather(*(claim((alice, there)[number % 2], bob) for number in range(20)))
    assert sorted(key_id.partition(":")[2] for keys in claimed for key_id in keys) == names
