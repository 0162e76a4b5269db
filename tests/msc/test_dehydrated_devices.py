"""Dehydrated devices (MSC3814): kept with their keys and messages until their user wakes or replaces them."""

from __future__ import annotations

from typing import Any

from tests.client_api.test_to_device import send
from tests.fixtures.client import Client
from tests.fixtures.crypto import device_keys, one_time_keys

DEVICE = "/_matrix/client/unstable/org.matrix.msc3814.v1/dehydrated_device"


def upload(user: Client, device_id: str, **more: Any) -> dict[str, Any]:
    """The body of a PUT."""
    sleeper = Client(user.session, user.url, user.user_id, device_id)
    return {
        "device_id": device_id,
        "device_data": {"algorithm": "org.matrix.msc3814.v2", "device_pickle": "secret", "nonce": "n"},
        "device_keys": device_keys(sleeper) | {"dehydrated": True},
        "one_time_keys": one_time_keys("one"),
        "fallback_keys": one_time_keys("last", fallback=True),
    } | more


async def put(user: Client, device_id: str) -> None:
    """Dehydrates a device."""
    assert await user.ok("PUT", DEVICE, json=upload(user, device_id)) == {"device_id": device_id}


async def claimed(user: Client, owner: Client, device_id: str) -> dict[str, Any]:
    """A key of the device, by its ID."""
    wanted = {owner.user_id: {device_id: "signed_curve25519"}}
    keys = (await user.ok("POST", "keys/claim", json={"one_time_keys": wanted}))["one_time_keys"]
    return dict(keys.get(owner.user_id, {}).get(device_id, {}))


async def test_what_was_put_is_there_until_it_is_deleted(alice: Client, bob: Client) -> None:
    status, said = await alice.get(DEVICE)
    assert (status, said["errcode"]) == (404, "M_NOT_FOUND")
    assert (await alice.delete(DEVICE))[0] == 404
    await put(alice, "SLEEPER")
    kept = await alice.ok("GET", DEVICE)
    assert (kept["device_id"], kept["device_data"]["device_pickle"]) == ("SLEEPER", "secret")
    assert (await bob.get(DEVICE))[0] == 404
    found = await bob.ok("POST", "keys/query", json={"device_keys": {alice.user_id: []}})
    assert found["device_keys"][alice.user_id]["SLEEPER"]["dehydrated"] is True
    assert await alice.ok("DELETE", DEVICE) == {"device_id": "SLEEPER"}
    assert (await alice.get(DEVICE))[0] == 404
    found = await bob.ok("POST", "keys/query", json={"device_keys": {alice.user_id: []}})
    assert found["device_keys"][alice.user_id] == {}


async def test_its_one_time_keys_run_out_and_its_fallback_key_does_not(alice: Client, bob: Client) -> None:
    await put(alice, "SLEEPER")
    first, second, third = [await claimed(bob, alice, "SLEEPER") for _ in range(3)]
    assert first
    assert second == third != {}


async def test_messages_are_kept_however_often_they_are_read(alice: Client, bob: Client) -> None:
    await put(alice, "SLEEPER")
    events = f"{DEVICE}/SLEEPER/events"
    assert await alice.ok("GET", events) == {"events": []}
    for number in range(3):
        await send(bob, {alice.user_id: {"SLEEPER": {"n": number}}})
    for _ in range(2):
        batch = await alice.ok("GET", events, params={"limit": 2})
        assert [event["content"]["n"] for event in batch["events"]] == [0, 1]
        rest = await alice.ok("GET", events, params={"from": batch["next_batch"]})
        assert [event["content"]["n"] for event in rest["events"]] == [2]
        assert "next_batch" not in rest
    old = await alice.ok("POST", events, json={})
    assert [event["content"]["n"] for event in old["events"]] == [0, 1, 2]
    end = await alice.ok("POST", events, json={"next_batch": old["next_batch"]})
    assert end == {"events": [], "next_batch": old["next_batch"]}
    assert (await alice.get(f"{DEVICE}/{alice.device_id}/events"))[0] == 403
    assert (await bob.get(events))[0] == 404
    assert (await alice.get(events, params={"from": "x"}))[0] == 400


async def test_a_new_one_replaces_the_old_with_all_that_belongs_to_it(alice: Client, bob: Client) -> None:
    room = await alice.create_room(preset="public_chat")
    await bob.join(room)
    await put(alice, "OLD")
    await send(bob, {alice.user_id: {"*": {"n": 1}}})
    await bob.sync()
    await put(alice, "NEW")
    assert alice.user_id in (await bob.sync())["device_lists"]["changed"]
    names = {device["device_id"] for device in (await alice.ok("GET", "devices"))["devices"]}
    assert names == {alice.device_id, "NEW"}
    assert await claimed(bob, alice, "OLD") == {}
    assert (await alice.get(f"{DEVICE}/OLD/events"))[0] == 403
    assert await alice.ok("GET", f"{DEVICE}/NEW/events") == {"events": []}
    await put(alice, "NEW")
    assert (await alice.ok("GET", DEVICE))["device_id"] == "NEW"


async def test_what_cannot_be_a_dehydrated_device(alice: Client) -> None:
    taken = upload(alice, alice.device_id)
    for body in (
        taken,
        upload(alice, "A", device_keys=taken["device_keys"]),
        upload(alice, "A") | {"device_id": "B" * 513},
    ):
        status, said = await alice.put(DEVICE, body)
        assert (status, said["errcode"]) == (400, "M_INVALID_PARAM")
    for missing in ("device_id", "device_data", "device_keys"):
        body = upload(alice, "A")
        del body[missing]
        assert (await alice.put(DEVICE, body))[1]["errcode"] == "M_MISSING_PARAM"
    assert (await alice.get(DEVICE))[0] == 404
