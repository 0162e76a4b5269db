"""Keys that an application service gives out itself: claims (MSC3983) and queries (MSC3984) are passed on to it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

import services.appservices.keys
from services.appservices.keys import CLAIM, QUERY
from tests.appservices.conftest import Bridge, MakeBridge
from tests.fixtures.appservice import registration_file, running_appservice
from tests.fixtures.client import Client
from tests.fixtures.crypto import cross_signing_of, device_keys, one_time_keys
from tests.fixtures.federation import MakeFederated

ASKED = {"org.matrix.msc3983": True, "org.matrix.msc3984": True}
DEVICE, ALGORITHM = "IRCDEVICE", "signed_curve25519"


@pytest.fixture
async def bridge(make_bridge: MakeBridge) -> Bridge:
    return await make_bridge(registration=ASKED)


@pytest.fixture
async def ghost(bridge: Bridge) -> Client:
    """A user of the application service with a device that has uploaded nothing."""
    return await with_device(bridge, "_irc_carol")


async def with_device(bridge: Bridge, name: str) -> Client:
    ghost = await bridge.ghost(name)
    assert (await ghost.put(f"devices/{DEVICE}", {}))[0] == 201
    return bridge.as_user(name, DEVICE)


async def claim(client: Client, ghost: Client, device: str = DEVICE) -> dict[str, Any]:
    """The keys of the device that somebody gets who asks for one."""
    wanted = {"one_time_keys": {ghost.user_id: {device: ALGORITHM}}}
    said = (await client.ok("POST", "keys/claim", json=wanted))["one_time_keys"]
    return dict(said.get(ghost.user_id, {}).get(device, {}))


async def query(client: Client, ghost: Client, *devices: str) -> dict[str, Any]:
    return dict(await client.ok("POST", "keys/query", json={"device_keys": {ghost.user_id: list(devices)}}))


def gives(bridge: Bridge, ghost: Client, *names: str, wrapped: bool = False) -> list[Any]:
    """The application service has these keys, each for once; what it was asked."""
    keys, asked = one_time_keys(*names), list[Any]()

    async def answer(request: web.Request) -> Any:
        asked.append(await request.json())
        if not keys:
            return {}
        key_id = next(iter(keys))
        said = {ghost.user_id: {DEVICE: {key_id: keys.pop(key_id)}}}
        return {"one_time_keys": said} if wrapped else said

    bridge.appservice.answers[CLAIM] = answer
    return asked


async def test_what_has_run_out_here_is_claimed_there(bridge: Bridge, ghost: Client) -> None:
    alice = await bridge.homeserver.user("alice")
    own = {"device_keys": device_keys(ghost), "one_time_keys": one_time_keys("own")}
    own["fallback_keys"] = one_time_keys("last", fallback=True)
    await ghost.ok("POST", "keys/upload", json=own)
    asked = gives(bridge, ghost, "b", "c")
    for name in ("own", "b", "c", "last", "last"):
        assert list(await claim(alice, ghost)) == [f"{ALGORITHM}:{name}"]
    assert asked == [{ghost.user_id: {DEVICE: [ALGORITHM]}}] * 4


async def test_keys_in_the_form_that_clients_get_them_in(bridge: Bridge, ghost: Client) -> None:
    gives(bridge, ghost, "a", wrapped=True)
    alice = await bridge.homeserver.user("alice")
    assert await claim(alice, ghost) == one_time_keys("a")


@pytest.mark.parametrize(
    "answer",
    [
        404,
        500,
        [],
        "x",
        {"@_irc_carol:one.example": {DEVICE: {"ed25519:a": "x", "signed_curve25519": {}}}},
        {"@_irc_carol:one.example": {DEVICE: {f"{ALGORITHM}:a": 1}}},
        {"@_irc_carol:one.example": [DEVICE]},
        {"one_time_keys": {"@_irc_carol:one.example": {"OTHER": one_time_keys("a")}}},
    ],
)
async def test_an_answer_that_is_none_is_as_good_as_no_keys(
    bridge: Bridge, ghost: Client, answer: Any
) -> None:
    bridge.appservice.answers |= {CLAIM: answer, QUERY: answer}
    alice = await bridge.homeserver.user("alice")
    assert await claim(alice, ghost) == {}
    fallback = one_time_keys("last", fallback=True)
    await ghost.ok("POST", "keys/upload", json={"fallback_keys": fallback})
    assert list(await claim(alice, ghost)) == list(fallback)
    assert (await query(alice, ghost))["device_keys"] == {ghost.user_id: {}}


async def test_devices_are_asked_for_there(bridge: Bridge, ghost: Client) -> None:
    alice, asked = await bridge.homeserver.user("alice"), list[Any]()
    await ghost.ok("POST", "keys/upload", json={"device_keys": device_keys(ghost, "uploaded")})
    other = bridge.as_user("_irc_carol", "OTHER")
    named = device_keys(ghost, "told") | {"unsigned": {"device_display_name": "A bridge"}}
    own = cross_signing_of(ghost)

    async def answer(request: web.Request) -> Any:
        asked.append(await request.json())
        # Nobody has asked for alice: what it says of her is not believed.
        devices = {
            ghost.user_id: {DEVICE: named, "OTHER": device_keys(other), "BAD": named},
            alice.user_id: {alice.device_id: device_keys(alice)},
        }
        return {
            "device_keys": devices,
            "master_keys": {ghost.user_id: own.json("master"), alice.user_id: own.json("master")},
            "self_signing_keys": {ghost.user_id: own.json("self_signing")},
        }

    bridge.appservice.answers[QUERY] = answer
    found = await query(alice, ghost)
    assert asked == [{"device_keys": {ghost.user_id: []}}]
    devices = found["device_keys"][ghost.user_id]
    assert set(devices) == {DEVICE, "OTHER"}
    assert devices[DEVICE]["keys"][f"curve25519:{DEVICE}"] == "told"
    assert devices[DEVICE]["unsigned"] == {"device_display_name": "A bridge"}
    assert found["master_keys"] == {ghost.user_id: own.json("master")}
    assert found["self_signing_keys"] == {ghost.user_id: own.json("self_signing")}
    assert set((await query(alice, ghost, "OTHER"))["device_keys"][ghost.user_id]) == {"OTHER"}
    # Users who are not reserved for it are none of its business.
    await query(alice, alice)
    assert len(asked) == 2


async def test_one_that_does_not_answer_keeps_nobody_waiting(
    bridge: Bridge, ghost: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services.appservices.keys, "SECONDS", 0.2)
    never = asyncio.Event()

    async def answer(request: web.Request) -> Any:
        await never.wait()

    bridge.appservice.answers |= {CLAIM: answer, QUERY: answer}
    alice = await bridge.homeserver.user("alice")
    await ghost.ok("POST", "keys/upload", json={"device_keys": device_keys(ghost)})
    assert await claim(alice, ghost) == {}
    assert set((await query(alice, ghost))["device_keys"][ghost.user_id]) == {DEVICE}
    never.set()
    await bridge.appservice.stop()
    assert await claim(alice, ghost) == {}
    assert set((await query(alice, ghost))["device_keys"][ghost.user_id]) == {DEVICE}


@pytest.mark.parametrize(
    "more",
    [{}, ASKED | {"namespaces": {"users": [{"exclusive": False, "regex": "@_irc_.*"}]}}],
    ids=["not wanted", "not exclusive"],
)
async def test_who_is_not_asked(make_bridge: MakeBridge, more: dict[str, Any]) -> None:
    bridge = await make_bridge(registration=more)
    ghost = await with_device(bridge, "_irc_carol")
    alice = await bridge.homeserver.user("alice")
    assert await claim(alice, ghost) == {}
    await query(alice, ghost)
    assert not [one for one in bridge.appservice.asked if "/keys/" in one]


async def test_other_servers_get_them_too(make_federated: MakeFederated, tmp_path: Path) -> None:
    async with running_appservice() as service:
        one = await make_federated(appservice_files=(registration_file(tmp_path, service, **ASKED),))
        bridge, two = Bridge(service, one), await make_federated()
        ghost, bob = await with_device(bridge, "_irc_carol"), await two.user("bob")
        gives(bridge, ghost, "a")
        service.answers[QUERY] = {"device_keys": {ghost.user_id: {DEVICE: device_keys(ghost)}}}
        assert set((await query(bob, ghost))["device_keys"][ghost.user_id]) == {DEVICE}
        assert await claim(bob, ghost) == one_time_keys("a")
