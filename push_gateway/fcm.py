"""Firebase Cloud Messaging (HTTP v1): data messages for Android, by a service account's OAuth token."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

import orjson

from push_gateway.http2 import Origin
from push_gateway.notification import Device, Notification
from push_gateway.outcome import Answer, Delivered, Dropped, Failed, Outcome, Rejected, Unreachable
from push_gateway.payload import fitted, opened
from push_gateway.settings import App
from push_gateway.signed import RS256, SECOND, CredentialsError, json_of, rsa_key, sign

URL: Final = "https://fcm.googleapis.com"
SCOPE: Final = "https://www.googleapis.com/auth/firebase.messaging"
GRANT: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
HOUR_S: Final = 3_600
EARLY: Final = 60
"""Seconds before its end at which a token is replaced."""
MAX_DATA: Final = 4_000
"""Bytes; «the maximum payload is 4096 bytes»."""
MAX_NAME: Final = 256
"""Characters of a name in its data; nested ones are joined, and would else grow with their depth."""
_RESERVED: Final = ("google", "gcm")
"""«The key should not be a reserved word (from, message_type, or any word starting with google or gcm).»"""
_FORM: Final = "application/x-www-form-urlencoded"


class Account:
    """A service account: it is asked for the token with which pushes are authorised, once an hour."""

    def __init__(self, app: App, seconds: float, now: Callable[[], int]) -> None:
        """Raises CredentialsError."""
        said = json_of(app.credentials)
        names = ("project_id", "client_email", "private_key", "token_uri")
        missing = [name for name in names if not isinstance(said.get(name), str)]
        if missing:
            raise CredentialsError(f"{app.credentials} has no {', '.join(missing)}: is it a service account?")
        self.project: str = said["project_id"]
        self._email: str = said["client_email"]
        self._uri: str = said["token_uri"]
        self._key_id = str(said.get("private_key_id", ""))
        self._key = rsa_key(said["private_key"], app.credentials)
        parts = urlsplit(self._uri)
        self._path = parts.path or "/"
        if parts.scheme != "https" or not parts.hostname:
            raise CredentialsError(f"{app.credentials}: token_uri is not an https URL")
        self._origin = Origin(self._uri, _file(app), seconds)
        self._now = now
        self._token = ""
        self._until = 0
        self._lock = asyncio.Lock()

    async def token(self) -> str:
        """One that is valid; raises Unreachable."""
        async with self._lock:
            if self._now() >= self._until:
                await self._ask()
            return self._token

    def forget(self, token: str) -> None:
        """The provider did not take this one."""
        if token == self._token:
            self._until = 0

    async def close(self) -> None:
        """Ends the connection."""
        await self._origin.close()

    async def _ask(self) -> None:
        now = self._now()
        claims = {
            "iss": self._email, "scope": SCOPE, "aud": self._uri, "iat": now // SECOND, "exp": now // SECOND + HOUR_S,
        }  # fmt: skip
        assertion = sign(self._key, RS256, claims, kid=self._key_id)
        body = urlencode({"grant_type": GRANT, "assertion": assertion}).encode()
        answer = await self._origin.post(self._path, {"content-type": _FORM}, body)
        said = _json(answer)
        token, seconds = said.get("access_token"), said.get("expires_in")
        if answer.status != 200 or not isinstance(token, str) or not isinstance(seconds, int):
            # Its text is not told: it may repeat what we sent.
            raise Unreachable(
                f"no OAuth token from {self._origin.host}: {answer.status} {said.get('error', '')}"
            )
        self._token, self._until = token, now + max(seconds - EARLY, 1) * SECOND


class Fcm:
    """One application's pushes through FCM."""

    def __init__(self, app: App, seconds: float, now: Callable[[], int]) -> None:
        """Raises CredentialsError."""
        self._app = app
        self._now = now
        self._account = Account(app, seconds, now)
        self._origin = Origin(app.url or URL, _file(app), seconds)
        self._path = f"/v1/projects/{self._account.project}/messages:send"

    async def push(self, notification: Notification, device: Device) -> Outcome:
        """How it ended; raises Unreachable."""
        body = orjson.dumps({"message": message(notification, device, self._app.content)})
        for is_last in (False, True):
            token = await self._account.token()
            headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
            answer = await self._origin.post(self._path, headers, body)
            if answer.status != 401 or is_last:
                break
            self._account.forget(token)
        return outcome(answer, self._now())

    async def close(self) -> None:
        """Ends all connections."""
        await self._origin.close()
        await self._account.close()


def message(notification: Notification, device: Device, content: bool) -> dict[str, Any]:
    """What FCM is to send: data only, of which the application makes what is shown."""
    said = opened(notification, device, content)
    data = fitted(said, lambda fields: orjson.dumps(dict(_flat(fields))), MAX_DATA)
    return {
        "token": device.pushkey,
        "data": dict(_flat(data)),
        "android": {"priority": "HIGH" if notification.is_urgent else "NORMAL"},
    }


def outcome(answer: Answer, now: int) -> Outcome:
    """What the answer says of the push, and of the device."""
    if answer.status == 200:
        return Delivered()
    error = _json(answer).get("error")
    error = error if isinstance(error, dict) else {}
    codes = {one.get("errorCode") for one in _details(error)} | {error.get("status")}
    reason = f"{answer.status} {', '.join(sorted(str(code) for code in codes if code))}"
    # «UNREGISTERED: App instance was unregistered»; «SENDER_ID_MISMATCH: different from the sender ID for the token».
    if codes & {"UNREGISTERED", "SENDER_ID_MISMATCH"} or answer.status == 404:
        return Rejected(reason)
    if answer.status == 400:
        return (
            Rejected(reason)
            if _blames_token(error)
            else Dropped(f"{reason} {error.get('message', '')}"[:200])
        )
    # 401 and 403 are mistakes of the operator: once they are put right, the push may still go out.
    if answer.status in (401, 403, 429) or answer.status >= 500:
        return Failed(reason, answer.pause(now))
    return Dropped(reason)


def _blames_token(error: dict[str, Any]) -> bool:
    violations = [one.get("fieldViolations") for one in _details(error)]
    fields = [each for one in violations if isinstance(one, list) for each in one if isinstance(each, dict)]
    if any(each.get("field") == "message.token" for each in fields):
        return True
    return "registration token" in str(error.get("message", "")).lower()


def _details(error: dict[str, Any]) -> list[dict[str, Any]]:
    details = error.get("details")
    return [one for one in details if isinstance(one, dict)] if isinstance(details, list) else []


def _json(answer: Answer) -> dict[str, Any]:
    try:
        said = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        return {}
    return said if isinstance(said, dict) else {}


def _flat(fields: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """FCM's data has text only: `content.body` becomes `content_body`."""
    for name, value in fields.items():
        if len(prefix) + len(name) > MAX_NAME:
            continue
        if not prefix and (name in ("from", "message_type") or name.startswith(_RESERVED)):
            continue
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}_")
        elif isinstance(value, str):
            yield prefix + name, value
        elif value is not None:
            yield prefix + name, orjson.dumps(value).decode()


def _file(app: App) -> str | None:
    return None if app.ca_file is None else str(app.ca_file)
