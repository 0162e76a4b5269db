"""Web Push (RFC 8030): encrypted for the browser (RFC 8291), signed by the application's server (VAPID, RFC 8292).

The push service's URL comes from the browser, so from a stranger: it must be https, of a service that the operator knows, and
lead to a public address.
"""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Final
from urllib.parse import urlsplit

import http_ece
import orjson
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from push_gateway.notification import Device, Notification
from push_gateway.outcome import Answer, Delivered, Dropped, Failed, Forbidden, Outcome, Rejected
from push_gateway.payload import fitted, opened
from push_gateway.ports import Strangers
from push_gateway.settings import App
from push_gateway.signed import ES256, SECOND, Kept, ec_key, sign

TOKEN_S: Final = 6 * 3_600
VALID_S: Final = 12 * 3_600
"""«exp MUST NOT be more than 24 hours from the time of the request.»"""
MAX_SERVICES: Final = 1_000
"""Push services whose tokens are kept."""
RECORD: Final = 4_096
"""«A push service is not required to support more than 4096 octets of payload body»: our header, tag and delimiter with it."""
MAX_PAYLOAD: Final = RECORD - 86 - 16 - 1
AUTH_BYTES: Final = 16
POINT: Final = 65


@dataclass(frozen=True, slots=True)
class Subscription:
    """What a browser has given its application."""

    endpoint: str
    origin: str
    host: str
    p256dh: bytes
    auth: bytes


class WebPush:
    """One application's pushes to browsers."""

    def __init__(self, app: App, strangers: Strangers, now: Callable[[], int]) -> None:
        """Raises CredentialsError."""
        self._app = app
        self._now = now
        self._strangers = strangers
        self._key = ec_key(app.credentials)
        point = self._key.public_key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        self._public = _encoded(point)
        self._kept: dict[str, Kept] = {}

    async def push(self, notification: Notification, device: Device) -> Outcome:
        """How it ended; raises Unreachable."""
        subscription = subscription_of(device)
        if subscription is None:
            return Rejected("the pusher has no endpoint, auth and p256dh of a subscription")
        if not any(fnmatchcase(subscription.host, allowed) for allowed in self._app.services):
            return Rejected(f"{subscription.host[:100]} is not a push service that is allowed here")
        if notification.event_id is None and device.data.get("events_only") is True:
            return Dropped("the application wants to hear of events only")
        body = encrypted(payload(notification, device, self._app.content), subscription)
        headers = self._headers(notification, device, subscription.origin)
        try:
            answer = await self._strangers.post(subscription.endpoint, headers, body)
        except Forbidden:
            return Rejected(f"{subscription.host[:100]} has no public address")
        return outcome(answer, self._now())

    async def close(self) -> None:
        """Ends all connections."""
        await self._strangers.close()

    def _headers(self, notification: Notification, device: Device, origin: str) -> dict[str, str]:
        headers = {
            "Authorization": f"vapid t={self._token(origin)}, k={self._public}",
            "Content-Encoding": "aes128gcm",
            "Content-Type": "application/octet-stream",
            "TTL": str(self._app.ttl // SECOND),
            # «high: incoming phone call or time-sensitive alert»; «low: on either power or wifi»
            "Urgency": "high" if notification.is_urgent else "low",
        }
        topic = _topic(notification, device)
        return headers if topic is None else headers | {"Topic": topic}

    def _token(self, origin: str) -> str:
        kept = self._kept.get(origin)
        if kept is None:
            if len(self._kept) >= MAX_SERVICES:
                self._kept.clear()
            kept = self._kept[origin] = Kept(lambda at: self._signed(origin, at), TOKEN_S, self._now)
        return kept.token()

    def _signed(self, origin: str, at: int) -> str:
        claims = {"aud": origin, "exp": at + VALID_S, "sub": self._app.contact}
        return sign(self._key, ES256, claims, typ="JWT")


def subscription_of(device: Device) -> Subscription | None:
    """The subscription in a pusher: its pushkey is p256dh, `data` has endpoint and auth. None when it is none."""
    endpoint, auth = device.data.get("endpoint"), device.data.get("auth")
    if not isinstance(endpoint, str) or not isinstance(auth, str):
        return None
    try:
        parts = urlsplit(endpoint)
        host, _ = parts.hostname, parts.port
        key, secret = _decoded(device.pushkey), _decoded(auth)
        ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), key)
    except (ValueError, Base64Error):
        return None
    if parts.scheme != "https" or not host or parts.username is not None or not endpoint.isascii():
        return None
    if len(key) != POINT or len(secret) != AUTH_BYTES:
        return None
    return Subscription(endpoint, f"https://{parts.netloc}", host, key, secret)


def payload(notification: Notification, device: Device, content: bool) -> bytes:
    """The JSON that the application's service worker gets."""

    def written(said: dict[str, Any]) -> bytes:
        return orjson.dumps(said)

    return written(fitted(opened(notification, device, content), written, MAX_PAYLOAD))


def encrypted(plain: bytes, subscription: Subscription) -> bytes:
    """One record that only this browser can read (0.1 ms)."""
    ours = ec.generate_private_key(ec.SECP256R1())
    sealed: bytes = http_ece.encrypt(
        plain,
        private_key=ours,
        dh=subscription.p256dh,
        auth_secret=subscription.auth,
        version="aes128gcm",
        rs=RECORD,
    )
    return sealed


def outcome(answer: Answer, now: int) -> Outcome:
    """What the answer says of the push, and of the subscription."""
    if 200 <= answer.status < 300:
        return Delivered()
    # «a 404 (Not Found) status code [...] for expired subscriptions», 410 where the service says so at once.
    if answer.status in (404, 410):
        return Rejected(str(answer.status))
    if answer.status in (401, 403, 408, 429) or answer.status >= 500:
        return Failed(answer.short(), answer.pause(now))
    return Dropped(answer.short())


def _topic(notification: Notification, device: Device) -> str | None:
    """«A push message with a topic replaces any outstanding push message with an identical topic.»"""
    if notification.event_id is None:
        return "badge"
    if notification.room_id is None or device.data.get("only_last_per_room") is not True:
        return None
    return _encoded(hashlib.blake2b(notification.room_id.encode(), digest_size=24).digest())


def _decoded(text: str) -> bytes:
    return urlsafe_b64decode(text.replace("+", "-").replace("/", "_") + "=" * (-len(text) % 4))


def _encoded(data: bytes) -> str:
    return urlsafe_b64encode(data).decode().rstrip("=")
