"""Pushers (§Push Notifications): checked and kept; who delivers through them reads them from the database."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import orjson

from protocol.ids import UserID
from protocol.json import JsonObject
from protocol.matrix_error import InvalidParam
from services.requester import Requester
from services.tenant import Tenant
from storage.push import pushers as stored

MAX_APP_ID: Final = 64  # characters
MAX_PUSHKEY: Final = 512  # bytes
MAX_PUSHER: Final = 16 * 1024
NOTIFY_PATH: Final = "/_matrix/push/v1/notify"


@dataclass(frozen=True, slots=True)
class Pusher:
    """A pusher as a client describes it."""

    app_id: str
    pushkey: str
    kind: str
    app_display_name: str
    device_display_name: str
    lang: str
    data: JsonObject
    profile_tag: str | None

    def as_json(self) -> JsonObject:
        """The pusher as the API shows it."""
        shown: JsonObject = {
            "app_id": self.app_id,
            "pushkey": self.pushkey,
            "kind": self.kind,
            "app_display_name": self.app_display_name,
            "device_display_name": self.device_display_name,
            "lang": self.lang,
            "data": self.data,
        }
        if self.profile_tag is not None:
            shown["profile_tag"] = self.profile_tag
        return shown


async def pushers_of(tenant: Tenant, user_id: UserID) -> list[JsonObject]:
    """The user's pushers as the API shows them."""
    async with tenant.database.read() as tx:
        return [orjson.loads(json) for json in await stored.pushers_of(tx, user_id)]


async def set_pusher(tenant: Tenant, requester: Requester, pusher: Pusher, *, append: bool) -> None:
    """Keeps the pusher, as one of the requester's device; raises InvalidParam.

    Unless told to `append`, other users' pushers with the same key go: the device has changed hands.
    """
    check_key(pusher.app_id, pusher.pushkey)
    _check(pusher)
    json = orjson.dumps(pusher.as_json())
    if len(json) > MAX_PUSHER:
        raise InvalidParam("The pusher is too large")
    key = (requester.user_id, pusher.app_id, pusher.pushkey)
    async with tenant.database.transaction() as tx:
        if not append:
            await stored.delete_others_pushers(tx, *key)
        await stored.set_pusher(tx, *key, requester.device_id, tenant.clock.now(), json)


async def delete_pusher(tenant: Tenant, user_id: UserID, app_id: str, pushkey: str) -> None:
    """Forgets the user's pusher, if there is one."""
    async with tenant.database.transaction() as tx:
        await stored.delete_pusher(tx, user_id, app_id, pushkey)


def check_key(app_id: str, pushkey: str) -> None:
    """Raise InvalidParam where the names of a pusher are longer than the specification allows."""
    if len(app_id) > MAX_APP_ID:
        raise InvalidParam(f"app_id has at most {MAX_APP_ID} characters")
    if len(pushkey.encode()) > MAX_PUSHKEY:
        raise InvalidParam(f"pushkey has at most {MAX_PUSHKEY} bytes")


def _check(pusher: Pusher) -> None:
    if pusher.kind != "http":
        raise InvalidParam(f"There are no pushers of kind {pusher.kind!r} here")
    # «MUST be an HTTPS URL with a path of /_matrix/push/v1/notify.»
    if not _is_notify_url(pusher.data.get("url")):
        raise InvalidParam(f"data.url must be an https URL with the path {NOTIFY_PATH}")
    if pusher.data.get("format", "event_id_only") != "event_id_only":
        raise InvalidParam("data.format must be event_id_only, or not be there")


def _is_notify_url(url: Any) -> bool:
    if not isinstance(url, str):
        return False
    try:
        parts = urlsplit(url)
        return parts.scheme == "https" and bool(parts.hostname) and parts.path == NOTIFY_PATH
    except ValueError:
        return False
