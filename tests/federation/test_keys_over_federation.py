"""Our users' devices and keys, as another server gets them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.federation.asking import Scene, part, scene
from tests.fixtures.crypto import cross_signing_of, device_keys, one_time_keys
from tests.fixtures.federation import MakeFederated, MakeLying

__all__ = ["scene"]

ALGORITHM = "signed_curve25519"


async def with_keys(scene: Scene) -> dict[str, Any]:
    """Alice's device has keys; the reply's form of them."""
    keys = device_keys(scene.alice)
    await scene.alice.ok("POST", "keys/upload", json={"device_keys": keys})
    return keys


async def cross_sign(scene: Scene) -> dict[str, Any]:
    """Alice has cross-signing keys; the body that made them."""
    body = cross_signing_of(scene.alice).body()
    assert (await scene.alice.post("keys/device_signing/upload", body))[0] == 200
    return body


async def test_the_devices_of_a_user(scene: Scene) -> None:
    alice = scene.alice.user_id
    await scene.alice.ok(
        "PUT", f"devices/{scene.alice.device_id}", json={"display_name": "telephone of Alice"}
    )
    keys = await with_keys(scene)
    before = await scene.get(f"user/devices/{part(alice)}")
    assert before["devices"] == [{"device_id": scene.alice.device_id, "keys": keys}]
    body = await cross_sign(scene)
    await scene.alice.ok("PUT", f"devices/{scene.alice.device_id}", json={"display_name": "another"})
    after = await scene.get(f"user/devices/{part(alice)}")
    assert after["stream_id"] > before["stream_id"]
    assert after["master_key"]["keys"] == body["master_key"]["keys"]
    assert after["self_signing_key"]["keys"] == body["self_signing_key"]["keys"]
    assert "user_signing_key" not in after


async def test_nobody_and_others_have_no_devices_here(scene: Scene) -> None:
    reply = await scene.get(f"user/devices/{part(f'@nobody:{scene.one.name}')}")
    assert (reply["stream_id"], reply["devices"]) == (0, [])
    assert (await scene.ask("GET", f"user/devices/{part(scene.eve)}"))[0] == 404
    assert (await scene.ask("GET", "user/devices/nonsense"))[0] == 400


async def test_keys_are_told_without_what_is_private(scene: Scene) -> None:
    alice = scene.alice.user_id
    keys = await with_keys(scene)
    body = await cross_sign(scene)
    wanted: dict[str, list[str]] = {alice: [], scene.eve: [], f"@nobody:{scene.one.name}": []}
    status, reply = await scene.ask("POST", "user/keys/query", {"device_keys": wanted})
    assert status == 200
    device = reply["device_keys"][alice][scene.alice.device_id]
    assert device.pop("unsigned") == {}
    assert device == keys
    assert reply["master_keys"][alice]["keys"] == body["master_key"]["keys"]
    assert set(reply["self_signing_keys"]) == {alice}
    assert "user_signing_keys" not in reply
    assert scene.eve not in reply["device_keys"]

    _, reply = await scene.ask("POST", "user/keys/query", {"device_keys": {alice: ["another"]}})
    assert reply["device_keys"] == {alice: {}}


async def test_devices_names_are_told_where_the_settings_say_so(
    make_federated: MakeFederated, make_lying: MakeLying
) -> None:
    one = await make_federated(federation={"share_device_names": True})
    scene = Scene(one, await one.user("alice", initial_device_display_name="phone"), await make_lying())
    await with_keys(scene)
    reply = await scene.get(f"user/devices/{part(scene.alice.user_id)}")
    assert reply["devices"][0]["device_display_name"] == "phone"
    asked: dict[str, Any] = {"device_keys": {scene.alice.user_id: []}}
    _, reply = await scene.ask("POST", "user/keys/query", asked)
    device = reply["device_keys"][scene.alice.user_id][scene.alice.device_id]
    assert device["unsigned"] == {"device_display_name": "phone"}


async def test_each_one_time_key_is_handed_out_once(scene: Scene) -> None:
    alice, device = scene.alice.user_id, scene.alice.device_id
    names = ["1", "2", "3"]
    uploaded = one_time_keys(*names)
    await scene.alice.ok("POST", "keys/upload", json={"one_time_keys": uploaded})
    asked = {"one_time_keys": {alice: {device: ALGORITHM}, scene.eve: {"X": ALGORITHM}}}
    replies = await asyncio.gather(*(scene.ask("POST", "user/keys/claim", asked) for _ in range(5)))
    claimed: dict[str, Any] = {}
    for status, reply in replies:
        assert status == 200
        assert scene.eve not in reply["one_time_keys"]
        found = reply["one_time_keys"].get(alice, {}).get(device, {})
        assert not claimed.keys() & found.keys()
        claimed |= found
    assert claimed == uploaded


async def test_of_what_others_give_only_signed_keys_are_handed_on(scene: Scene) -> None:
    signed = {"key": "c2lnbmVk", "signatures": {scene.eve: {"ed25519:B": "c2lnbmF0dXJl"}}}
    given = {"A": {f"{ALGORITHM}:1": {"key": "YmFyZQ"}}, "B": {f"{ALGORITHM}:1": signed}}
    path = "/_matrix/federation/v1/user/keys/claim"
    scene.liar.on("POST", path, lambda _: {"one_time_keys": {scene.eve: given}})

    wanted = {scene.eve: {"A": ALGORITHM, "B": ALGORITHM}}
    said = await scene.alice.ok("POST", "keys/claim", json={"one_time_keys": wanted})

    assert said["one_time_keys"] == {scene.eve: {"B": {f"{ALGORITHM}:1": signed}}}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("user/keys/query", {}),
        ("user/keys/query", {"device_keys": []}),
        ("user/keys/query", {"device_keys": {"nonsense": []}}),
        ("user/keys/query", {"device_keys": {"@a:b": "all"}}),
        ("user/keys/claim", {}),
        ("user/keys/claim", {"one_time_keys": {"x": {}}}),
        ("user/keys/query", {"device_keys": {f"@a{number}:b": [] for number in range(1001)}}),
    ],
)
async def test_nonsense_is_refused(scene: Scene, path: str, body: Any) -> None:
    status, _ = await scene.ask("POST", path, body)
    assert status == (200 if body == {"device_keys": {"@a:b": "all"}} else 400)
