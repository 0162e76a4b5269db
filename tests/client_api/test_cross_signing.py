"""Cross-signing keys and signatures: who may publish which, and who gets to see them."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from protocol.signing import SigningKey, sign_json
from tests.client_api.test_keys import query, synced, upload
from tests.fixtures.client import Client
from tests.fixtures.crypto import CrossSigning, cross_signing_of, device_key, device_keys, key_of, public
from tests.fixtures.homeserver import Homeserver

PUBLISH = "keys/device_signing/upload"
SIGN = "keys/signatures/upload"


async def publish(user: Client, keys: CrossSigning) -> None:
    """Publishes the user's keys; another generation wants the password."""
    status, said = await user.post(PUBLISH, keys.body())
    if status == 401:
        auth = {
            "type": "m.login.password",
            "session": said["session"],
            "identifier": {"type": "m.id.user", "user": user.user_id},
            "password": user.password,
        }
        status, said = await user.post(PUBLISH, keys.body() | {"auth": auth})
    assert (status, said) == (200, {})


async def sign(user: Client, target: str, name: str, json: dict[str, Any], *keys: SigningKey) -> Any:
    """Publishes signatures by the keys; the failures."""
    for key in keys:
        json = sign_json(json, user.user_id, key)
    return (await user.ok("POST", SIGN, json={target: {name: json}}))["failures"]


async def test_first_keys_are_published_without_a_password(alice: Client, bob: Client) -> None:
    keys = cross_signing_of(alice)
    status, said = await alice.post(PUBLISH, keys.body())
    assert (status, said) == (200, {})
    mine, others = await query(alice, alice.user_id), await query(bob, alice.user_id)
    for found in (mine, others):
        assert found["master_keys"] == {alice.user_id: keys.json("master")}
        assert found["self_signing_keys"] == {alice.user_id: keys.json("self_signing")}
    assert mine["user_signing_keys"] == {alice.user_id: keys.json("user_signing")}
    assert others["user_signing_keys"] == {}


async def test_the_same_keys_again_want_no_password_and_are_no_news(alice: Client) -> None:
    keys = cross_signing_of(alice)
    await alice.sync()
    await publish(alice, keys)
    assert await synced(alice) == ({alice.user_id}, set())
    for body in (
        keys.body(),
        {"master_key": keys.json("master")},
        {"user_signing_key": keys.json("user_signing")},
    ):
        assert await alice.post(PUBLISH, body) == (200, {})
    assert await synced(alice) == (set(), set())


async def test_other_keys_want_a_password_and_outdate_the_older_ones(alice: Client, bob: Client) -> None:
    await upload(alice, device_keys=device_keys(alice))
    old, new = cross_signing_of(alice), cross_signing_of(alice, "new")
    await publish(alice, old)
    await sign(alice, alice.user_id, alice.device_id, device_keys(alice), old.self_signing)
    status, said = await alice.post(PUBLISH, new.body())
    assert (status, said["flows"]) == (401, [{"stages": ["m.login.password"]}])
    assert (await query(bob, alice.user_id))["master_keys"][alice.user_id] == old.json("master")
    await publish(alice, new)
    found = await query(bob, alice.user_id)
    assert found["master_keys"][alice.user_id] == new.json("master")
    assert found["device_keys"][alice.user_id][alice.device_id] == device_keys(alice) | {"unsigned": {}}


async def test_a_new_master_key_alone_takes_the_others_away(alice: Client) -> None:
    await publish(alice, cross_signing_of(alice))
    master = {"master_key": cross_signing_of(alice, "new").json("master")}
    status, said = await alice.post(PUBLISH, master)
    assert status == 401
    identifier = {"type": "m.id.user", "user": alice.user_id}
    auth = {"type": "m.login.password", "session": said["session"], "identifier": identifier}
    assert await alice.post(PUBLISH, master | {"auth": auth | {"password": alice.password}}) == (200, {})
    found = await query(alice, alice.user_id)
    assert found["master_keys"] == {alice.user_id: master["master_key"]}
    assert found["self_signing_keys"] == found["user_signing_keys"] == {}


async def test_keys_without_a_master_key_are_refused(alice: Client) -> None:
    keys = cross_signing_of(alice)
    status, said = await alice.post(PUBLISH, {"self_signing_key": keys.json("self_signing")})
    assert (status, said["errcode"]) == (400, "M_MISSING_PARAM")


@pytest.mark.parametrize("usage", ["self_signing", "user_signing"])
async def test_keys_must_be_signed_by_the_master_key(alice: Client, usage: str) -> None:
    keys, others = cross_signing_of(alice), cross_signing_of(alice, "other")
    for json in (others.json(usage), others.json(usage) | {"signatures": {}}):
        status, said = await alice.post(PUBLISH, {"master_key": keys.json("master"), f"{usage}_key": json})
        assert (status, said["errcode"]) == (400, "M_INVALID_SIGNATURE")
    await publish(alice, keys)
    status, said = await alice.post(PUBLISH, {f"{usage}_key": others.json(usage)})
    assert (status, said["errcode"]) == (400, "M_INVALID_SIGNATURE")


async def test_a_key_that_is_named_like_a_device_is_refused(alice: Client) -> None:
    keys = cross_signing_of(alice)
    await alice.log_in(device_id=public(keys.master))
    status, said = await alice.post(PUBLISH, keys.body())
    assert (status, said["errcode"]) == (403, "M_FORBIDDEN")


@pytest.mark.parametrize(
    "change",
    [
        {"user_id": "@bob:one.example"},
        {"usage": ["self_signing"]},
        {"usage": ["master", "self_signing"]},
        {"usage": "master"},
        {"keys": {}},
        {"keys": {"ed25519:x": "x", "ed25519:y": "y"}},
        {"keys": {"ed25519:other": "x"}},
        {"keys": {"curve25519:x": "x"}},
        {"keys": {"ed25519:x": 1}},
        {"keys": {"ed25519:x": "x"}},
        {"signatures": []},
        {"more": 1.5},
    ],
)
async def test_what_is_no_cross_signing_key_is_refused(alice: Client, change: dict[str, Any]) -> None:
    status, said = await alice.post(PUBLISH, {"master_key": cross_signing_of(alice).json("master") | change})
    assert status == 400
    assert said["errcode"] in ("M_INVALID_PARAM", "M_BAD_JSON")


async def test_a_device_is_signed_by_the_self_signing_key_for_all_to_see(alice: Client, bob: Client) -> None:
    await bob.join(await alice.create_room(preset="public_chat"))
    await upload(alice, device_keys=device_keys(alice))
    keys = cross_signing_of(alice)
    await publish(alice, keys)
    await bob.sync()
    assert await sign(alice, alice.user_id, alice.device_id, device_keys(alice), keys.self_signing) == {}
    assert await synced(bob) == ({alice.user_id}, set())
    found = (await query(bob, alice.user_id))["device_keys"][alice.user_id][alice.device_id]
    signed_by = {device_key(alice).name, keys.self_signing.name}
    assert found["signatures"].keys() == {alice.user_id}
    assert found["signatures"][alice.user_id].keys() == signed_by
    # The same signature again is no news.
    assert await sign(alice, alice.user_id, alice.device_id, device_keys(alice), keys.self_signing) == {}
    assert await synced(bob) == (set(), set())


async def test_new_identity_keys_lose_their_old_signatures(alice: Client, bob: Client) -> None:
    await upload(alice, device_keys=device_keys(alice))
    keys = cross_signing_of(alice)
    await publish(alice, keys)
    await sign(alice, alice.user_id, alice.device_id, device_keys(alice), keys.self_signing)
    changed = device_keys(alice, "another curve25519 key")
    await upload(alice, device_keys=changed)
    found = (await query(bob, alice.user_id))["device_keys"][alice.user_id][alice.device_id]
    assert found["signatures"] == changed["signatures"]


async def test_the_master_key_is_signed_by_a_device(alice: Client, bob: Client) -> None:
    await upload(alice, device_keys=device_keys(alice))
    keys = cross_signing_of(alice)
    await publish(alice, keys)
    name = public(keys.master)
    assert await sign(alice, alice.user_id, name, keys.json("master"), device_key(alice)) == {}
    found = (await query(bob, alice.user_id))["master_keys"][alice.user_id]
    assert found["signatures"][alice.user_id].keys() == {device_key(alice).name}


async def test_a_signature_of_somebody_elses_key_is_seen_by_the_signer_alone(
    homeserver: Homeserver, alice: Client, bob: Client
) -> None:
    carol = await homeserver.user("carol")
    of_alice, of_bob = cross_signing_of(alice), cross_signing_of(bob)
    await publish(alice, of_alice)
    await publish(bob, of_bob)
    room = await alice.create_room(preset="public_chat")
    for user in (bob, carol):
        await user.join(room)
    for user in (alice, bob, carol):
        await user.sync()
    name = public(of_bob.master)
    assert await sign(alice, bob.user_id, name, of_bob.json("master"), of_alice.user_signing) == {}
    assert await synced(alice) == ({bob.user_id}, set())
    assert (await synced(bob), await synced(carol)) == ((set(), set()), (set(), set()))
    seen = {
        user.user_id: (await query(user, bob.user_id))["master_keys"][bob.user_id].get("signatures", {})
        for user in (alice, bob, carol)
    }
    assert seen[alice.user_id][alice.user_id].keys() == {of_alice.user_signing.name}
    assert seen[bob.user_id] == seen[carol.user_id] == {}


async def test_signatures_that_came_with_the_key_are_not_shown_when_others_made_them(
    alice: Client, bob: Client
) -> None:
    json = sign_json(device_keys(alice), "@carol:one.example", key_of("carol"))
    await upload(alice, device_keys=json)
    found = (await query(bob, alice.user_id))["device_keys"][alice.user_id][alice.device_id]
    assert found["signatures"].keys() == {alice.user_id}


async def test_wrong_signatures_fail_and_the_others_are_kept(alice: Client, bob: Client) -> None:
    await upload(alice, device_keys=device_keys(alice))
    keys, of_bob = cross_signing_of(alice), cross_signing_of(bob)
    await publish(alice, keys)
    await publish(bob, of_bob)
    good = sign_json(device_keys(alice), alice.user_id, keys.self_signing)
    stolen = sign_json(
        of_bob.json("master"), alice.user_id, keys.self_signing
    )  # the wrong one of alice's keys
    changed = sign_json(keys.json("master") | {"more": 1}, alice.user_id, device_key(alice))
    garbled = keys.json("master") | {"signatures": {alice.user_id: {device_key(alice).name: "x"}}}
    status, said = await alice.post(
        SIGN,
        {
            alice.user_id: {
                alice.device_id: good,
                "UNKNOWN": good,
                public(keys.master): changed,
                public(keys.self_signing): keys.json("self_signing"),
            },
            bob.user_id: {public(of_bob.master): stolen, bob.device_id: device_keys(bob)},
            "@carol:two.example": {"x": {"keys": 1.5}},
        },
    )
    assert status == 200
    errcodes = {u: {k: e["errcode"] for k, e in found.items()} for u, found in said["failures"].items()}
    assert errcodes == {
        alice.user_id: {
            "UNKNOWN": "M_NOT_FOUND",
            public(keys.master): "M_INVALID_SIGNATURE",
            public(keys.self_signing): "M_NOT_FOUND",
        },
        bob.user_id: {public(of_bob.master): "M_INVALID_SIGNATURE", bob.device_id: "M_NOT_FOUND"},
        "@carol:two.example": {"x": "M_NOT_FOUND"},
    }
    found = await query(alice, alice.user_id)
    assert (
        keys.self_signing.name
        in found["device_keys"][alice.user_id][alice.device_id]["signatures"][alice.user_id]
    )
    said = await alice.ok("POST", SIGN, json={alice.user_id: {public(keys.master): garbled}})
    assert said["failures"][alice.user_id][public(keys.master)]["errcode"] == "M_INVALID_SIGNATURE"


@pytest.mark.parametrize(
    "body", [[], {"nobody": {}}, {"@a:b": []}, {"@a:b": {"x": 1}}, {"@a:one.example": {"x": [1.5]}}]
)
async def test_what_are_no_signatures_is_refused(alice: Client, body: Any) -> None:
    status, said = await alice.post(SIGN, body)
    assert status == 400
    assert said["errcode"] in ("M_BAD_JSON", "M_INVALID_PARAM")


async def test_a_deleted_devices_signatures_go_with_it(alice: Client) -> None:
    phone = await alice.log_in()
    await upload(phone, device_keys=device_keys(phone))
    keys = cross_signing_of(alice)
    await publish(alice, keys)
    await sign(phone, alice.user_id, phone.device_id, device_keys(phone), keys.self_signing)
    await phone.ok("POST", "logout", json={})
    again = await alice.log_in(device_id=phone.device_id)
    await upload(again, device_keys=device_keys(again))
    path = f"devices/{quote(phone.device_id)}"
    assert (await alice.get(path))[0] == 200
    found = (await query(alice, alice.user_id))["device_keys"][alice.user_id][phone.device_id]
    assert found["signatures"] == device_keys(again)["signatures"]
