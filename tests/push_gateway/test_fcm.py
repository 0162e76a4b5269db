"""Pushes through FCM, against a server that checks our tokens as Google does."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from push_gateway.observations import ProviderBack, ProviderFails
from tests.push_gateway.conftest import Google, MakeGateway, with_content_hidden

APP = "org.example.android"
MESSAGE = {
    "event_id": "$e",
    "room_id": "!r:one.example",
    "type": "m.room.message",
    "sender": "@alice:one.example",
    "sender_display_name": "Alice",
    "room_name": "Room",
    "content": {"msgtype": "m.text", "body": "hello"},
    "counts": {"unread": 2, "missed_calls": 1},
    "prio": "high",
}


async def test_a_message_arrives_with_a_token_that_google_gave(
    make_gateway: MakeGateway, google: Google
) -> None:
    gateway = await make_gateway(google.app)
    assert await gateway.notify(APP, "device", {"default_payload": {"mine": {"a": 1}}}, **MESSAGE) == []
    _, push = google.provider.asked
    assert (push.http, push.path) == ("2", "/v1/projects/p/messages:send")
    message = push.json["message"]
    assert message["token"] == "device"
    assert message["android"] == {"priority": "HIGH"}
    assert message["data"] == {
        "event_id": "$e", "room_id": "!r:one.example", "type": "m.room.message", "sender": "@alice:one.example",
        "sender_display_name": "Alice", "room_name": "Room", "content_msgtype": "m.text", "content_body": "hello",
        "unread": "2", "missed_calls": "1", "prio": "high", "mine_a": "1",
    }  # fmt: skip
    assert gateway.gateway.pushes == {(APP, "fcm", "delivered"): 1}


async def test_one_connection_and_one_token_serve_many(make_gateway: MakeGateway, google: Google) -> None:
    gateway = await make_gateway(google.app)
    assert await gateway.notify(APP, "device", event_id="$0", room_id="!r") == []
    await asyncio.gather(*(gateway.notify(APP, f"d{n}", event_id="$1", room_id="!r") for n in range(50)))
    pushes = [one for one in google.provider.asked if one.path != "/token"]
    assert len(pushes) == 51
    assert len({one.connection for one in pushes}) == 1
    assert len(google.oauth.given) == 1


async def test_a_token_is_replaced_before_it_ends_and_when_it_is_not_taken(
    make_gateway: MakeGateway, google: Google
) -> None:
    gateway = await make_gateway(google.app)
    await gateway.notify(APP, "device", event_id="$0")
    gateway.clock.advance(3_590_000)
    assert await gateway.notify(APP, "device", event_id="$1") == []
    assert len(google.oauth.given) == 2
    google.oauth.valid.clear()
    assert await gateway.notify(APP, "device", event_id="$2") == []
    assert len(google.oauth.given) == 3


async def test_ids_and_counts_alone(make_gateway: MakeGateway, google: Google) -> None:
    """The format event_id_only."""
    gateway = await make_gateway(google.app)
    await gateway.notify(APP, "device", event_id="$e", room_id="!r", counts={"unread": 1}, prio="low")
    message = google.provider.asked[-1].json["message"]
    assert message["data"] == {"event_id": "$e", "room_id": "!r", "unread": "1", "prio": "low"}
    assert message["android"] == {"priority": "NORMAL"}


async def test_google_learns_nothing_of_what_was_said_where_the_operator_wants_it_so(
    make_gateway: MakeGateway, google: Google
) -> None:
    gateway = await make_gateway(with_content_hidden(google.app))
    await gateway.notify(APP, "device", **MESSAGE)
    data = google.provider.asked[-1].json["message"]["data"]
    assert data.keys() == {"event_id", "room_id", "unread", "missed_calls", "prio"}


@pytest.mark.parametrize("body", ["x" * 20_000, "🦔" * 5_000, '"\\' * 5_000])
async def test_what_is_too_long_is_cut(make_gateway: MakeGateway, google: Google, body: str) -> None:
    gateway = await make_gateway(google.app)
    content = {"msgtype": "m.text", "body": body, "formatted_body": body}
    assert await gateway.notify(APP, "device", **MESSAGE | {"content": content}) == []
    data = google.provider.asked[-1].json["message"]["data"]
    assert len(json.dumps(data, ensure_ascii=False).encode()) <= 4_096
    assert data["event_id"] == "$e"
    assert data["content_body"].endswith("…")
    assert len(data["content_body"]) > 200
    assert body.startswith(data["content_body"][:-1])


def _error(status: int, name: str, **more: Any) -> tuple[int, dict[str, str], bytes]:
    error = {"code": status, "status": name, "message": more.pop("message", "no"), "details": [more]}
    return status, {}, json.dumps({"error": error}).encode()


@pytest.mark.parametrize(
    "answer",
    [
        _error(404, "NOT_FOUND", errorCode="UNREGISTERED"),
        _error(403, "PERMISSION_DENIED", errorCode="SENDER_ID_MISMATCH"),
        _error(400, "INVALID_ARGUMENT", fieldViolations=[{"field": "message.token"}]),
        _error(
            400, "INVALID_ARGUMENT", message="The registration token is not a valid FCM registration token"
        ),
    ],
)
async def test_devices_that_are_gone_are_rejected(
    make_gateway: MakeGateway, google: Google, answer: Any
) -> None:
    gateway = await make_gateway(google.app)
    google.oauth.result = answer
    assert await gateway.notify(APP, "the-pushkey", event_id="$e") == ["the-pushkey"]
    (observed,) = gateway.observed
    assert "rejected" in str(observed)
    assert "the-pushkey" not in str(observed)


@pytest.mark.parametrize("status", [401, 403, 429, 500, 503])
async def test_a_provider_that_fails_is_told_as_502_and_the_device_is_kept(
    make_gateway: MakeGateway, google: Google, status: int
) -> None:
    gateway = await make_gateway(google.app)
    google.oauth.result = status, {"retry-after": "7"}, b'{"error": {"status": "NO"}}'
    body = {"notification": {"event_id": "$e", "devices": [{"app_id": APP, "pushkey": "k"}]}}
    got, said, headers = await gateway.post(body)
    assert (got, said["errcode"], headers["Retry-After"]) == (502, "M_UNKNOWN", "7")
    google.oauth.result = 200, {}, b"{}"
    assert (await gateway.post(body))[:2] == (200, {"rejected": []})
    assert [type(one) for one in gateway.observed] == [ProviderFails, ProviderBack]


async def test_what_was_delivered_is_not_repeated_when_the_homeserver_asks_again(
    make_gateway: MakeGateway, google: Google
) -> None:
    """«It is therefore necessary to perform duplicate suppression for such notifications using the event_id field.»"""
    gateway = await make_gateway(google.app)
    for _ in range(2):
        assert await gateway.notify(APP, "k", event_id="$e") == []
    assert [one.path for one in google.provider.asked].count("/v1/projects/p/messages:send") == 1
    for _ in range(2):
        await gateway.notify(APP, "k", counts={"unread": 1})
    assert [one.path for one in google.provider.asked].count("/v1/projects/p/messages:send") == 3


async def test_a_push_that_google_does_not_want_is_dropped(make_gateway: MakeGateway, google: Google) -> None:
    gateway = await make_gateway(google.app)
    google.oauth.result = _error(400, "INVALID_ARGUMENT", fieldViolations=[{"field": "message.data"}])
    assert await gateway.notify(APP, "k", event_id="$e") == []
    assert gateway.gateway.pushes == {(APP, "fcm", "dropped"): 1}


async def test_no_token_from_google_is_a_temporary_failure(make_gateway: MakeGateway, google: Google) -> None:
    gateway = await make_gateway(google.app)
    google.provider.answer = lambda asked: (400, {}, b'{"error": "invalid_grant"}')
    assert await gateway.notify(APP, "k", event_id="$e") == 502
    assert "invalid_grant" in str(gateway.observed[0])
