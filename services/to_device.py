"""Messages between devices, outside of any room (§Send-to-Device messaging)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

import orjson

from protocol.ids import UserID, server_of
from protocol.json import JsonObject
from protocol.matrix_error import TooLarge
from services.requester import Requester
from services.tenant import Tenant
from storage import topics
from storage.journal import Change, Row
from storage.to_device import APPEND_TO_DEVICE

MAX_MESSAGE = 65_536  # bytes; other servers take no larger ones either

Messages = Mapping[UserID, Mapping[str, JsonObject]]
"""User ID -> device ID or `*` -> content."""


@dataclass(frozen=True, slots=True)
class Sending:
    """What a device sends: a transaction ID counts for the device (or token), and for one type."""

    type: str
    txn_id: str
    messages: Messages

    def digest(self, sender: Requester) -> bytes:
        """What the transaction is known by."""
        session = sender.device_id or (sender.token_id or b"").hex()
        path = (sender.user_id, session, self.type, self.txn_id)
        return sha256(orjson.dumps(path)).digest()


async def send_to_device(tenant: Tenant, sender: Requester, sending: Sending) -> None:
    """The messages are in the devices' inboxes when this returns, once each, however often it is tried.

    Devices that there are not get nothing, nor do users of other servers as long as federation is off. Raises TooLarge.
    """
    digest, now = sending.digest(sender), tenant.clock.now()
    rows: list[Row] = []
    size = 0
    users: dict[UserID, None] = {}
    for user_id, devices in sending.messages.items():
        if server_of(user_id) != tenant.name:
            continue
        for device_id, content in devices.items():
            json = _event(sender, sending.type, content)
            rows.append(Row(APPEND_TO_DEVICE, (digest, now, user_id, device_id, json)))
            size += len(json)
            users[user_id] = None
    if rows:
        wake = tuple(topics.to_device(user_id) for user_id in users)
        await tenant.journal.append(Change(tuple(rows), wake, size=size))


def _event(sender: Requester, type: str, content: JsonObject) -> bytes:
    json = orjson.dumps({"type": type, "sender": sender.user_id, "content": content})
    if len(json) > MAX_MESSAGE:
        raise TooLarge(f"A message to a device has at most {MAX_MESSAGE} bytes")
    return json
