"""Pushes through APNs, against a server that verifies our tokens as Apple does."""

from __future__ import annotations

import json
from base64 import b64encode
from dataclasses import replace
from typing import Any

import pytest

from push_gateway.apns import SANDBOX_URL, Apns, device_token
from tests.push_gateway.conftest import Cupertino, MakeGateway, with_content_hidden

APP = "org.example.ios.dev"
TOKEN = bytes(range(32))
KEY = b64encode(TOKEN).decode()
MESSAGE = {
    "event_id": "$e", "room_id": "!r", "type": "m.room.message", "sender": "@alice:one", "sender_display_name": "Alice",
    "room_name": "Room", "content": {"msgtype": "m.text", "body": "hello"}, "counts": {"unread": 2, "missed_calls": 1},
}  # fmt: skip


async def test_a_message_arrives_signed(make_gateway: MakeGateway, cupertino: Cupertino) -> None:
    gateway = await make_gateway(cupertino.app)
    assert await gateway.notify(APP, KEY, tweaks={"sound": "bing"}, **MESSAGE) == []
    (asked,) = cupertino.provider.asked
    assert (asked.http, asked.path) == ("2", f"/3/device/{TOKEN.hex()}")
    headers = {name: value for name, value in asked.headers.items() if name.startswith("apns-")}
    assert headers == {
        "apns-topic": "org.example.ios", "apns-push-type": "alert", "apns-priority": "10", "apns-collapse-id": "$e",
        "apns-expiration": str(gateway.clock.now() // 1000 + 86_400),
    }  # fmt: skip
    assert asked.json == {
        "event_id": "$e", "room_id": "!r", "type": "m.room.message", "sender": "@alice:one",
        "unread_count": 2, "missed_calls": 1,
        "aps": {
            "alert": {"title": "Alice", "subtitle": "Room", "body": "hello"},
            "badge": 3, "sound": "bing", "mutable-content": 1,
        },
    }  # fmt: skip


async def test_ids_alone_show_what_the_application_wants(
    make_gateway: MakeGateway, cupertino: Cupertino
) -> None:
    gateway = await make_gateway(cupertino.app)
    wanted = {"aps": {"mutable-content": 1, "alert": {"loc-key": "Notification", "loc-args": []}}}
    await gateway.notify(APP, KEY, {"default_payload": wanted}, event_id="$e", room_id="!r", prio="low")
    (asked,) = cupertino.provider.asked
    assert asked.json == {"event_id": "$e", "room_id": "!r", **wanted}
    assert asked.headers["apns-priority"] == "5"


async def test_counts_alone_set_the_badge_and_show_nothing(
    make_gateway: MakeGateway, cupertino: Cupertino
) -> None:
    gateway = await make_gateway(cupertino.app)
    wanted = {"aps": {"mutable-content": 1, "alert": {"loc-key": "Notification"}, "sound": "x"}}
    await gateway.notify(APP, KEY, {"default_payload": wanted}, counts={"unread": 0}, prio="low")
    (asked,) = cupertino.provider.asked
    assert asked.json["aps"] == {"badge": 0}
    assert asked.headers["apns-collapse-id"] == "badge"


async def test_apple_learns_nothing_where_the_operator_wants_it_so(
    make_gateway: MakeGateway, cupertino: Cupertino
) -> None:
    gateway = await make_gateway(with_content_hidden(cupertino.app))
    await gateway.notify(APP, KEY, **MESSAGE)
    told = cupertino.provider.asked[0].body.decode()
    assert not [word for word in ("Alice", "alice", "hello", "Room", "m.text") if word in told]


@pytest.mark.parametrize("body", ["x" * 60_000, "🦔" * 10_000])
@pytest.mark.parametrize("event_id", ["$" + "e" * 43, "$" + "e" * 200])
async def test_what_is_too_long_is_cut(
    make_gateway: MakeGateway, cupertino: Cupertino, body: str, event_id: str
) -> None:
    gateway = await make_gateway(cupertino.app)
    said = MESSAGE | {"event_id": event_id, "content": {"body": body}}
    assert await gateway.notify(APP, KEY, **said) == []
    assert gateway.gateway.pushes[(cupertino.app.id, "apns", "delivered")] == 1
    shown = cupertino.provider.asked[0].json
    assert shown["event_id"] == event_id
    assert len(shown["aps"]["alert"]["body"]) > 500


async def test_a_default_payload_that_is_too_large_is_left_out(
    make_gateway: MakeGateway, cupertino: Cupertino
) -> None:
    gateway = await make_gateway(cupertino.app)
    assert await gateway.notify(APP, KEY, {"default_payload": {"a": "x" * 5_000}}, event_id="$e") == []
    assert "a" not in cupertino.provider.asked[0].json


async def test_a_token_is_kept_for_forty_minutes(make_gateway: MakeGateway, cupertino: Cupertino) -> None:
    gateway = await make_gateway(cupertino.app)
    for minutes, tokens in ((0, 1), (39, 1), (2, 2)):
        gateway.clock.advance(minutes * 60_000)
        assert await gateway.notify(APP, KEY, event_id=f"${minutes}") == []
        assert len(cupertino.apple.tokens) == tokens


@pytest.mark.parametrize(
    ("status", "said", "rejected"),
    [
        (400, {"reason": "BadDeviceToken"}, True),
        (400, {"reason": "DeviceTokenNotForTopic"}, True),
        (410, {"reason": "Unregistered", "timestamp": 2_000_000}, True),
        (410, {"reason": "Unregistered", "timestamp": 999_999}, False),
        (400, {"reason": "PayloadEmpty"}, False),
    ],
)
async def test_devices_that_are_gone_are_rejected(
    make_gateway: MakeGateway, cupertino: Cupertino, status: int, said: Any, rejected: bool
) -> None:
    """Also not by what Apple knows from before the application got its token: that is of the token's last life."""
    gateway = await make_gateway(cupertino.app)
    cupertino.apple.result = status, {}, json.dumps(said).encode()
    assert await gateway.notify(APP, KEY, event_id="$e", pushkey_ts=1_000) == ([KEY] if rejected else [])


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (400, "TopicDisallowed"),
        (403, "InvalidProviderToken"),
        (429, "TooManyRequests"),
        (500, "InternalServerError"),
    ],
)
async def test_other_refusals_are_temporary(
    make_gateway: MakeGateway, cupertino: Cupertino, status: int, reason: str
) -> None:
    gateway = await make_gateway(cupertino.app)
    cupertino.apple.result = status, {}, json.dumps({"reason": reason}).encode()
    assert await gateway.notify(APP, KEY, event_id="$e") == 502


@pytest.mark.parametrize("key", ["", "not base64!", "é", b64encode(bytes(500)).decode(), "00" * 300])
async def test_what_is_no_device_token_is_rejected_unasked(
    make_gateway: MakeGateway, cupertino: Cupertino, key: str
) -> None:
    gateway = await make_gateway(cupertino.app)
    assert await gateway.notify(APP, key, event_id="$e") == [key]
    assert cupertino.provider.asked == []


def test_device_tokens_in_both_forms() -> None:
    assert device_token(TOKEN.hex()) == device_token(TOKEN.hex().upper()) == device_token(KEY) == TOKEN.hex()
    assert device_token(KEY.rstrip("=")) == TOKEN.hex()


async def test_development_builds_are_in_the_sandbox(cupertino: Cupertino) -> None:
    app = replace(cupertino.app, url=None, sandbox=True)
    assert repr(Apns(app, 1.0, lambda: 0)._origin) == f"Origin({SANDBOX_URL.removeprefix('https://')})"
