"""Pushers: kept, shown, replaced, deleted, and gone with their device."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fixtures.client import Client

PUSHER: dict[str, Any] = {
    "app_id": "com.example.app",
    "pushkey": "key",
    "kind": "http",
    "app_display_name": "App",
    "device_display_name": "Phone",
    "lang": "en",
    "profile_tag": "tag",
    "data": {"url": "https://push.example/_matrix/push/v1/notify", "format": "event_id_only", "brand": "x"},
}


async def pushers(client: Client) -> list[dict[str, Any]]:
    """As they were set: all are on, and know their device (MSC3881)."""
    found = list((await client.ok("GET", "pushers"))["pushers"])
    for pusher in found:
        assert pusher.pop("org.matrix.msc3881.enabled") is True
        assert isinstance(pusher.pop("org.matrix.msc3881.device_id"), str)
    return found


async def test_a_pusher_is_set_changed_and_deleted(alice: Client) -> None:
    assert await pushers(alice) == []
    await alice.ok("POST", "pushers/set", json=PUSHER)
    assert await pushers(alice) == [PUSHER]
    await alice.ok("POST", "pushers/set", json=PUSHER | {"lang": "fr"})
    assert await pushers(alice) == [PUSHER | {"lang": "fr"}]
    gone = {"kind": None, "app_id": "com.example.app", "pushkey": "key"}
    assert await alice.post("pushers/set", gone) == (200, {})
    assert await alice.post("pushers/set", gone) == (200, {})
    assert await pushers(alice) == []


async def test_a_key_has_one_owner_unless_told_otherwise(alice: Client, bob: Client) -> None:
    await alice.ok("POST", "pushers/set", json=PUSHER)
    await bob.ok("POST", "pushers/set", json=PUSHER | {"append": True})
    assert await pushers(alice) == await pushers(bob) == [PUSHER]
    await bob.ok("POST", "pushers/set", json=PUSHER)
    assert await pushers(alice) == []
    assert await pushers(bob) == [PUSHER]


async def test_a_pusher_goes_with_its_device(alice: Client) -> None:
    phone = await alice.log_in()
    await phone.ok("POST", "pushers/set", json=PUSHER)
    await alice.ok("POST", "pushers/set", json=PUSHER | {"pushkey": "other"})
    await phone.ok("POST", "logout", json={})
    assert await pushers(alice) == [PUSHER | {"pushkey": "other"}]


@pytest.mark.parametrize(
    ("change", "errcode"),
    [
        ({"app_id": None}, "M_MISSING_PARAM"),
        ({"pushkey": None}, "M_MISSING_PARAM"),
        ({"lang": None}, "M_MISSING_PARAM"),
        ({"data": None}, "M_MISSING_PARAM"),
        ({"data": "x"}, "M_BAD_JSON"),
        ({"append": "x"}, "M_BAD_JSON"),
        ({"app_id": "a" * 65}, "M_INVALID_PARAM"),
        ({"pushkey": "ö" * 257}, "M_INVALID_PARAM"),
        ({"kind": "pigeon"}, "M_INVALID_PARAM"),
        ({"data": {}}, "M_INVALID_PARAM"),
        ({"data": {"url": "http://push.example/_matrix/push/v1/notify"}}, "M_INVALID_PARAM"),
        ({"data": {"url": "https://push.example/notify"}}, "M_INVALID_PARAM"),
        ({"data": {"url": "https:///_matrix/push/v1/notify"}}, "M_INVALID_PARAM"),
        ({"data": {"url": "https://[/_matrix/push/v1/notify"}}, "M_INVALID_PARAM"),
        ({"data": PUSHER["data"] | {"format": "all"}}, "M_INVALID_PARAM"),
        ({"device_display_name": "x" * 20_000}, "M_INVALID_PARAM"),
    ],
)
async def test_what_is_no_pusher_is_refused(alice: Client, change: dict[str, Any], errcode: str) -> None:
    status, body = await alice.post("pushers/set", PUSHER | change)
    assert (status, body["errcode"]) == (400, errcode)
    assert await pushers(alice) == []


async def test_a_kind_must_be_said(alice: Client) -> None:
    status, body = await alice.post("pushers/set", {k: v for k, v in PUSHER.items() if k != "kind"})
    assert (status, body["errcode"]) == (400, "M_MISSING_PARAM")
