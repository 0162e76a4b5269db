"""Pushers (§Push Notifications): checked and kept; services/push/delivery/ delivers through them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import orjson

from protocol.ids import UserID
from protocol.json import JsonObject
from protocol.matrix_error import InvalidParam
from services.mail.outbox import may_send
from services.requester import Requester
from services.settings import MailKind
from services.tenant import Tenant
from services.threepids.addresses import EMAIL, canonical_email
from storage import topics
from storage.journal import Change, Row
from storage.push import pushers as stored
from storage.threepids import owner_of

MAX_APP_ID: Final = 64  # characters
MAX_PUSHKEY: Final = 512  # bytes
MAX_PUSHER: Final = 16 * 1024
MAX_PUSHERS: Final = 50  # of a user
NOTIFY_PATH: Final = "/_matrix/push/v1/notify"
HTTP, MAIL, MAIL_APP = "http", "email", "m.email"
FORMATS: Final = ("full", "event_id_only")
"""Without a format all is told: «full» is what clients call that."""
ENABLED, DEVICE_ID = "org.matrix.msc3881.enabled", "org.matrix.msc3881.device_id"


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
    enabled: bool = True
    of_device: str | None = None
    """The device that a client has read it to be of, when it changes another device's (MSC3881)."""

    def as_json(self, device_id: str | None) -> JsonObject:
        """The pusher as the API shows it."""
        shown: JsonObject = {
            "app_id": self.app_id,
            "pushkey": self.pushkey,
            "kind": self.kind,
            "app_display_name": self.app_display_name,
            "device_display_name": self.device_display_name,
            "lang": self.lang,
            "data": self.data,
            ENABLED: self.enabled,
        }
        if self.profile_tag is not None:
            shown["profile_tag"] = self.profile_tag
        if device_id is not None:
            shown[DEVICE_ID] = device_id
        return shown


async def pushers_of(tenant: Tenant, user_id: UserID) -> list[JsonObject]:
    """The user's pushers as the API shows them."""
    async with tenant.database.read() as tx:
        return [orjson.loads(json) for json in await stored.pushers_of(tx, user_id)]


async def set_pusher(tenant: Tenant, requester: Requester, pusher: Pusher, *, append: bool) -> None:
    """Keeps the pusher, as one of the requester's device; raises InvalidParam.

    Unless told to `append`, other users' pushers with the same key go: the device has changed hands.
    """
    user_id = requester.user_id
    check_key(pusher.app_id, pusher.pushkey)
    await _check(tenant, user_id, pusher)
    key = (user_id, pusher.app_id, pusher.pushkey)
    async with tenant.database.read() as tx:
        known = await stored.keys_of(tx, user_id)
        others = [] if append else await stored.others_with(tx, *key)
    if key[1:] not in known and len(known) >= MAX_PUSHERS:
        raise InvalidParam(f"A user has at most {MAX_PUSHERS} pushers")
    device_id: str | None = requester.device_id
    # MSC3881: who switches another device's pusher on or off does not make it a pusher of this device.
    if pusher.of_device is not None and pusher.of_device == known.get(key[1:]):
        device_id = pusher.of_device
    json = orjson.dumps(pusher.as_json(device_id))
    if len(json) > MAX_PUSHER:
        raise InvalidParam("The pusher is too large")
    rows = [Row(stored.SET_PUSHER, (*key, device_id, tenant.clock.now(), json, pusher.enabled))]
    if not append:
        rows.append(Row(stored.DELETE_OTHERS_PUSHERS, key))
    wake = tuple(topics.pushers(one) for one in (user_id, *others))
    await tenant.journal.append(Change(rows=tuple(rows), wake=wake, size=len(json)))


async def delete_pusher(tenant: Tenant, user_id: UserID, app_id: str, pushkey: str) -> None:
    """Forgets the user's pusher, if there is one."""
    row = Row(stored.DELETE_PUSHER, (user_id, app_id, pushkey))
    await tenant.journal.append(Change(rows=(row,), wake=(topics.pushers(user_id),)))


def check_key(app_id: str, pushkey: str) -> None:
    """Raise InvalidParam where the names of a pusher are longer than the specification allows."""
    if len(app_id) > MAX_APP_ID:
        raise InvalidParam(f"app_id has at most {MAX_APP_ID} characters")
    if len(pushkey.encode()) > MAX_PUSHKEY:
        raise InvalidParam(f"pushkey has at most {MAX_PUSHKEY} bytes")


async def _check(tenant: Tenant, user_id: UserID, pusher: Pusher) -> None:
    if pusher.kind == MAIL:
        await _check_mail(tenant, user_id, pusher)
        return
    if pusher.kind != HTTP:
        raise InvalidParam(f"There are no pushers of kind {pusher.kind!r} here")
    # «MUST be an HTTPS URL with a path of /_matrix/push/v1/notify.»
    url = pusher.data.get("url")
    if not _is_notify_url(url) and url not in tenant.settings.push.private_gateways:
        raise InvalidParam(f"data.url must be an https URL with the path {NOTIFY_PATH}")
    if pusher.data.get("format", FORMATS[0]) not in FORMATS:
        raise InvalidParam("data.format must be event_id_only, or not be there")


async def _check_mail(tenant: Tenant, user_id: UserID, pusher: Pusher) -> None:
    if not may_send(tenant, MailKind.NOTIFICATIONS):
        raise InvalidParam("This server sends no mails about missed messages")
    # «If the kind is "email", this is the email address»; «app_id […]: for email pushers, m.email».
    if pusher.app_id != MAIL_APP:
        raise InvalidParam(f"app_id of a pusher of kind {MAIL} must be {MAIL_APP}")
    async with tenant.database.read() as tx:
        owner = await owner_of(tx, EMAIL, pusher.pushkey)
    if canonical_email(pusher.pushkey) != pusher.pushkey or owner != user_id:
        raise InvalidParam("pushkey must be an address of the account, as the account shows it")


def _is_notify_url(url: Any) -> bool:
    if not isinstance(url, str):
        return False
    try:
        parts = urlsplit(url)
        return parts.scheme == "https" and bool(parts.hostname) and parts.path == NOTIFY_PATH
    except ValueError:
        return False
