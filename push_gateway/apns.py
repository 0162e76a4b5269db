"""Apple's push service: HTTP/2 with a signed token (ES256), for production and for the sandbox."""

from __future__ import annotations

import hashlib
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Callable
from typing import Any, Final

import orjson

from push_gateway.http2 import Origin
from push_gateway.notification import Device, Notification
from push_gateway.outcome import Answer, Delivered, Dropped, Failed, Outcome, Rejected
from push_gateway.payload import fitted, opened
from push_gateway.settings import App
from push_gateway.signed import ES256, SECOND, Kept, ec_key, sign

URL: Final = "https://api.push.apple.com"
SANDBOX_URL: Final = "https://api.sandbox.push.apple.com"
TOKEN_S: Final = 40 * 60
"""«Refresh your token no more than once every 20 minutes and no less than once every 60 minutes.»"""
MAX_PAYLOAD: Final = 4_096
MAX_COLLAPSE_ID: Final = 64
MAX_TOKEN: Final = 200
"""Bytes of a device token: «of variable length», 32 to 100 so far."""
DAY_S: Final = 86_400
_OUR_MISTAKES: Final = frozenset(
    ("InvalidProviderToken", "MissingProviderToken", "ExpiredProviderToken", "BadTopic", "TopicDisallowed",
     "BadCertificate", "BadCertificateEnvironment", "Forbidden", "BadEnvironmentKeyInToken", "MissingTopic",
     "InvalidTeamId")
)  # fmt: skip
_NO_DEVICE: Final = frozenset(("BadDeviceToken", "DeviceTokenNotForTopic", "MissingDeviceToken"))


class Apns:
    """One application's pushes through APNs."""

    def __init__(self, app: App, seconds: float, now: Callable[[], int]) -> None:
        """Raises CredentialsError."""
        key, key_id, team_id = ec_key(app.credentials), app.key_id or "", app.team_id or ""
        self._app = app
        self._now = now
        self._topic = app.topic or app.id
        self._kept = Kept(lambda at: sign(key, ES256, {"iss": team_id, "iat": at}, kid=key_id), TOKEN_S, now)
        ca_file = None if app.ca_file is None else str(app.ca_file)
        self._origin = Origin(app.url or (SANDBOX_URL if app.sandbox else URL), ca_file, seconds)

    async def push(self, notification: Notification, device: Device) -> Outcome:
        """How it ended; raises Unreachable."""
        token = device_token(device.pushkey)
        if token is None:
            return Rejected("the pushkey is not a device token")
        if notification.event_id is None and notification.badge is None:
            return Dropped("there is nothing to tell")
        body = payload(notification, device, self._app.content)
        for is_last in (False, True):
            signed = self._kept.token()
            answer = await self._origin.post(f"/3/device/{token}", self._headers(notification, signed), body)
            if answer.status != 403 or _said(answer).get("reason") != "ExpiredProviderToken" or is_last:
                break
            self._kept.forget(signed)
        return outcome(answer, device, self._now())

    async def close(self) -> None:
        """Ends all connections."""
        await self._origin.close()

    def _headers(self, notification: Notification, signed: str) -> dict[str, str]:
        return {
            "authorization": f"bearer {signed}",
            "apns-topic": self._topic,
            "apns-push-type": "alert",  # a badge is one too: «an alert, badge, or sound»
            "apns-priority": "10" if notification.is_urgent else "5",
            "apns-expiration": str(self._now() // SECOND + DAY_S),
            "apns-collapse-id": collapse_id(notification),
        }


def device_token(pushkey: str) -> str | None:
    """The token in hexadecimal; a pushkey is that, or its base64. None when it is neither."""
    try:
        token = bytes.fromhex(pushkey)
        if len(token) >= 32:
            return token.hex() if len(token) <= MAX_TOKEN else None
    except ValueError:
        pass
    try:
        token = b64decode(pushkey + "=" * (-len(pushkey) % 4), validate=True)
    except (Base64Error, ValueError):
        return None
    return token.hex() if 0 < len(token) <= MAX_TOKEN else None


def collapse_id(notification: Notification) -> str:
    """What is told twice is shown once; of counts alone the last is shown."""
    if notification.event_id is None:
        return "badge"
    if len(notification.event_id.encode()) <= MAX_COLLAPSE_ID and notification.event_id.isascii():
        return notification.event_id
    return hashlib.sha256(notification.event_id.encode()).hexdigest()[:MAX_COLLAPSE_ID]


def payload(notification: Notification, device: Device, content: bool) -> bytes:
    """The JSON that the device gets."""

    def written(said: dict[str, Any]) -> bytes:
        wanted = said.get("aps")
        wanted = wanted if isinstance(wanted, dict) else {}
        return orjson.dumps({**_own(said), "aps": _aps(notification, device, said, wanted)})

    return written(fitted(opened(notification, device, content), written, MAX_PAYLOAD))


def _own(said: dict[str, Any]) -> dict[str, Any]:
    """The members beside `aps`, by the names that applications know from Sygnal."""
    names = {"unread": "unread_count"}
    shown = ("content", "sender_display_name", "room_name", "room_alias", "user_is_target", "aps", "prio")
    return {names.get(name, name): value for name, value in said.items() if name not in shown}


def _aps(
    notification: Notification, device: Device, said: dict[str, Any], wanted: dict[str, Any]
) -> dict[str, Any]:
    badge = {} if notification.badge is None else {"badge": notification.badge}
    if notification.event_id is None:
        return badge  # nothing is shown or heard, whatever the application wants in every push
    aps = wanted | badge
    aps["mutable-content"] = 1  # the application may fetch, decrypt and rewrite what is shown
    aps["alert"] = alert(said) or wanted.get("alert") or {"loc-key": "SINGLE_UNREAD", "loc-args": []}
    sound = device.tweaks.get("sound")
    if isinstance(sound, str):
        aps["sound"] = sound
    return aps


def alert(said: dict[str, Any]) -> dict[str, Any] | None:
    """What is shown of an event: who, where, what; None when it is not known."""
    sender, room = said.get("sender_display_name") or said.get("sender"), said.get("room_name")
    content = said.get("content")
    body = content.get("body") if isinstance(content, dict) else None
    if not isinstance(sender, str):
        return None
    shown: dict[str, Any] = {"title": sender}
    if isinstance(room, str) and room != sender:
        shown["subtitle"] = room
    if isinstance(body, str) and body:
        return shown | {"body": body}
    if said.get("type") == "m.room.member" and said.get("user_is_target") is True:
        return shown | {"loc-key": "USER_INVITE_TO_CHAT", "loc-args": [sender]}
    return None


def outcome(answer: Answer, device: Device, now: int) -> Outcome:
    """What the answer says of the push, and of the device."""
    if answer.status == 200:
        return Delivered()
    said = _said(answer)
    reason = said.get("reason")
    told = f"{answer.status} {str(reason)[:100]}"
    if answer.status == 410:
        # «timestamp: the time at which APNs confirmed the token was no longer valid»; the device may have come back since.
        gone = said.get("timestamp")
        is_newer = isinstance(gone, int) and device.pushkey_ts * SECOND > gone
        return Dropped(f"{told}, before the pushkey was set") if is_newer else Rejected(told)
    if reason in _NO_DEVICE:
        return Rejected(told)
    if reason in _OUR_MISTAKES or answer.status in (403, 429) or answer.status >= 500:
        return Failed(told, answer.pause(now))
    return Dropped(told)


def _said(answer: Answer) -> dict[str, Any]:
    try:
        said = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        return {}
    return said if isinstance(said, dict) else {}
