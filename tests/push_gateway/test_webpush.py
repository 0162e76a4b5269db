"""Pushes to browsers: decrypted with the browser's keys, signatures verified, and no way to what is not a push service."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import http_ece
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc import jwt
from joserfc.jwk import ECKey

from push_gateway.settings import App, Provider
from tests.fixtures.certificates import Authority
from tests.push_gateway.conftest import MakeGateway, Running, pem
from tests.push_gateway.providers import Asked
from tests.push_gateway.providers import Provider as FakeProvider
from tests.push_gateway.providers import running as running_provider

APP = "org.example.web"
ENDPOINT = "https://push.example/wpush/v2/secret-path"
MESSAGE = {
    "event_id": "$e", "room_id": "!r", "type": "m.room.message", "sender": "@alice:one", "sender_display_name": "Alice",
    "content": {"msgtype": "m.text", "body": "hello"}, "counts": {"unread": 2},
}  # fmt: skip


def encoded(data: bytes) -> str:
    """As browsers write bytes."""
    return urlsafe_b64encode(data).decode().rstrip("=")


def decoded(text: str) -> bytes:
    """The bytes."""
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


@dataclass
class Browser:
    """What a browser keeps of a subscription."""

    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    auth: bytes = b"0123456789abcdef"

    @property
    def pushkey(self) -> str:
        """p256dh."""
        return encoded(self.key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint))

    @property
    def data(self) -> dict[str, Any]:
        """Of its pusher."""
        return {"endpoint": ENDPOINT, "auth": encoded(self.auth)}

    def reads(self, asked: Asked) -> Any:
        """What its service worker is told."""
        return self.opens(asked.body)

    def opens(self, body: bytes) -> Any:
        """The same, of a body."""
        plain = http_ece.decrypt(body, private_key=self.key, auth_secret=self.auth, version="aes128gcm")
        return json.loads(plain)


@dataclass
class Mozilla:
    """A push service, and an app whose browsers use it."""

    provider: FakeProvider
    app: App


@pytest.fixture
async def mozilla(authority: Authority, tmp_path: Path) -> AsyncIterator[Mozilla]:
    """At push.example."""
    file = tmp_path / "vapid.pem"
    file.write_bytes(pem(ec.generate_private_key(ec.SECP256R1())))
    provider = FakeProvider(answer=lambda _: (201, {}, b""))
    app = App(
        APP,
        Provider.WEBPUSH,
        file,
        ca_file=authority.file,
        contact="mailto:a@one.example",
        services=("*.example",),
    )
    async with running_provider(provider, authority):
        yield Mozilla(provider, app)


async def opened(make_gateway: MakeGateway, mozilla: Mozilla, **settings: Any) -> Running:
    """A gateway that finds push.example."""
    gateway = await make_gateway(mozilla.app, **settings)
    gateway.names.leads("push.example", 443, mozilla.provider.port)
    return gateway


async def test_only_the_browser_can_read_it(make_gateway: MakeGateway, mozilla: Mozilla) -> None:
    gateway, browser = await opened(make_gateway, mozilla), Browser()
    assert await gateway.notify(APP, browser.pushkey, browser.data, **MESSAGE) == []
    (asked,) = mozilla.provider.asked
    assert asked.path == "/wpush/v2/secret-path"
    assert asked.headers["content-encoding"] == "aes128gcm"
    assert (asked.headers["ttl"], asked.headers["urgency"]) == ("43200", "high")
    assert "topic" not in asked.headers
    assert browser.reads(asked) == {
        "event_id": "$e", "room_id": "!r", "type": "m.room.message", "sender": "@alice:one",
        "sender_display_name": "Alice", "content": {"msgtype": "m.text", "body": "hello"}, "unread": 2, "prio": "high",
    }  # fmt: skip
    with pytest.raises(http_ece.ECEException):
        Browser().reads(asked)


async def test_the_application_server_signs(make_gateway: MakeGateway, mozilla: Mozilla) -> None:
    """RFC 8292, with the key that the browser's application has subscribed with."""
    gateway, browser = await opened(make_gateway, mozilla), Browser()
    for event_id in ("$1", "$2"):
        await gateway.notify(APP, browser.pushkey, browser.data, event_id=event_id)
    first, second = (one.headers["authorization"] for one in mozilla.provider.asked)
    assert first == second
    fields = dict(part.strip().split("=", 1) for part in first.removeprefix("vapid ").split(","))
    ours = ECKey.import_key(mozilla.app.credentials.read_bytes())
    assert decoded(fields["k"]) == ours.public_key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    token = jwt.decode(fields["t"], ECKey.import_key(ours.as_dict(private=False)), algorithms=["ES256"])
    assert token.claims == {
        "aud": "https://push.example",
        "exp": gateway.clock.now() // 1000 + 12 * 3600,
        "sub": "mailto:a@one.example",
    }


@pytest.mark.parametrize("body", ["x" * 30_000, "🦔" * 10_000])
async def test_what_is_too_long_is_cut(make_gateway: MakeGateway, mozilla: Mozilla, body: str) -> None:
    gateway, browser = await opened(make_gateway, mozilla), Browser()
    await gateway.notify(APP, browser.pushkey, browser.data, **MESSAGE | {"content": {"body": body}})
    (asked,) = mozilla.provider.asked
    assert len(asked.body) <= 4096
    assert len(browser.reads(asked)["content"]["body"]) > 500


async def test_the_last_of_a_room_replaces_those_before(make_gateway: MakeGateway, mozilla: Mozilla) -> None:
    gateway, browser = await opened(make_gateway, mozilla), Browser()
    data = browser.data | {"only_last_per_room": True, "events_only": True}
    for event_id in ("$1", "$2"):
        await gateway.notify(APP, browser.pushkey, data, event_id=event_id, room_id="!r", prio="low")
    await gateway.notify(APP, browser.pushkey, data, counts={"unread": 1})
    topics = [one.headers["topic"] for one in mozilla.provider.asked]
    assert len(topics) == 2
    assert topics[0] == topics[1]
    assert len(topics[0]) == 32
    assert mozilla.provider.asked[0].headers["urgency"] == "low"


@pytest.mark.parametrize("status", [404, 410])
async def test_subscriptions_that_are_gone_are_rejected(
    make_gateway: MakeGateway, mozilla: Mozilla, status: int
) -> None:
    gateway, browser = await opened(make_gateway, mozilla), Browser()
    mozilla.provider.answer = lambda _: (status, {}, b"")
    assert await gateway.notify(APP, browser.pushkey, browser.data, event_id="$e") == [browser.pushkey]


@pytest.mark.parametrize("status", [403, 429, 503])
async def test_other_refusals_are_temporary(make_gateway: MakeGateway, mozilla: Mozilla, status: int) -> None:
    gateway, browser = await opened(make_gateway, mozilla), Browser()
    mozilla.provider.answer = lambda _: (status, {"retry-after": "Thu, 01 Jan 2037 00:00:00 GMT"}, b"")
    assert await gateway.notify(APP, browser.pushkey, browser.data, event_id="$e") == 502


@pytest.mark.parametrize(
    "data",
    [
        {"endpoint": None}, {"endpoint": "x"}, {"endpoint": 7}, {"endpoint": "http://push.example/"},
        {"endpoint": "https://u:p@push.example/"}, {"endpoint": "https://[::1"}, {"endpoint": "https://push.example:x/"},
        {"endpoint": "https://pushéxample/"}, {"endpoint": "https://elsewhere.org/"}, {"endpoint": "https://127.0.0.1/"},
        {"endpoint": "https://push.example.evil.org/"}, {"endpoint": "https://evil.org/#.example"},
        {"auth": None}, {"auth": "AAAA"}, {"auth": "é"}, {"auth": 7}, {"auth": ["a"]},
    ],
)  # fmt: skip
async def test_what_is_no_subscription_of_a_known_service_is_rejected_unasked(
    make_gateway: MakeGateway, mozilla: Mozilla, data: Any
) -> None:
    gateway, browser = await opened(make_gateway, mozilla), Browser()
    assert await gateway.notify(APP, browser.pushkey, browser.data | data, event_id="$e") == [browser.pushkey]
    assert mozilla.provider.asked == []
    assert gateway.names.asked == []


@pytest.mark.parametrize(
    "pushkey", ["A", "AAAA", "é", encoded(b"\x04" + bytes(64)), encoded(b"\x04" + b"\xff" * 64)]
)
async def test_a_pushkey_that_is_no_point_on_the_curve_is_rejected(
    make_gateway: MakeGateway, mozilla: Mozilla, pushkey: str
) -> None:
    gateway = await opened(make_gateway, mozilla)
    assert await gateway.notify(APP, pushkey, Browser().data, event_id="$e") == [pushkey]
    assert mozilla.provider.asked == []


@pytest.mark.parametrize("address", ["10.0.0.1", "169.254.169.254", "::1", "fd00::1", "::ffff:10.0.0.1"])
async def test_a_name_that_leads_to_a_private_address_is_not_asked(
    make_gateway: MakeGateway, mozilla: Mozilla, address: str
) -> None:
    gateway, browser = await make_gateway(mozilla.app), Browser()
    gateway.names.leads("push.example", 443, mozilla.provider.port, address)
    assert await gateway.notify(APP, browser.pushkey, browser.data, event_id="$e") == [browser.pushkey]
    assert mozilla.provider.asked == []


async def test_redirects_are_not_followed(make_gateway: MakeGateway, mozilla: Mozilla) -> None:
    gateway, browser = await opened(make_gateway, mozilla), Browser()
    mozilla.provider.answer = lambda _: (307, {"location": "https://push.example/elsewhere"}, b"")
    assert await gateway.notify(APP, browser.pushkey, browser.data, event_id="$e") == []
    assert len(mozilla.provider.asked) == 1
    assert gateway.gateway.pushes == {(APP, "webpush", "dropped"): 1}
