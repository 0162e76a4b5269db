"""Messages between devices, outside of any room (§Send-to-Device messaging)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import orjson
from orjson import Fragment

from protocol.errors import InvalidId
from protocol.ids import ServerName, UserID, parse_user_id, server_of
from protocol.json import JsonObject
from protocol.matrix_error import BadJson, InvalidParam, TooLarge
from services.requester import Requester
from services.settings import DAY
from services.tenant import Tenant
from storage import topics
from storage.journal import Change, Row
from storage.servers.outbox import APPEND_TO_OUTBOX
from storage.to_device import APPEND_TO_DEVICE

MAX_MESSAGE = 65_536  # bytes; other servers take no larger ones either
EDU_TYPE = "m.direct_to_device"
MESSAGE_ID_LENGTH = 32  # «at most 32 codepoints»
MAX_MESSAGE_ID = 255  # COMPAT: others may be less strict
MAX_ADDRESSEES = 10_000
MAX_NAME = 255
REMEMBERED_LONGER = 6 * DAY
"""Than messages of our own clients: another server that was away for days repeats what it had no answer to."""

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
    """The messages are in the devices' inboxes, or wait for their servers, when this returns: once each, however often
    it is tried.

    Devices that there are not get nothing, nor do users of other servers where federation is off. Raises TooLarge.
    """
    digest, now = sending.digest(sender), tenant.clock.now()
    rows: list[Row] = []
    wake: dict[str, None] = {}
    elsewhere: dict[ServerName, list[tuple[UserID, str, bytes]]] = {}
    for user_id, devices in sending.messages.items():
        server = server_of(user_id)
        for device_id, content in devices.items():
            json = _event(sender.user_id, sending.type, content)
            if server == tenant.name:
                rows.append(Row(APPEND_TO_DEVICE, (digest, now, user_id, device_id, json)))
                wake[topics.to_device(user_id)] = None
            else:
                elsewhere.setdefault(server, []).append((user_id, device_id, orjson.dumps(content)))
    for server, messages in elsewhere.items() if tenant.remotes.reachable else ():
        known_by = sha256(digest + server.encode()).digest()
        for part, edu in enumerate(_edus(sender.user_id, sending.type, known_by, messages)):
            rows.append(Row(APPEND_TO_OUTBOX, (known_by, now, server, part, edu)))
            wake[topics.destination(server)] = None
    if rows:
        size = sum(len(value) for row in rows for value in row.values if isinstance(value, bytes))
        await tenant.journal.append(Change(tuple(rows), tuple(wake), size=size))


async def receive_direct_to_device(tenant: Tenant, origin: ServerName, content: JsonObject) -> None:
    """An `m.direct_to_device` of another server: once, however often it comes. Raises BadJson, InvalidParam or TooLarge."""
    sender, type, message_id = (content.get(name) for name in ("sender", "type", "message_id"))
    if not (isinstance(sender, str) and isinstance(type, str) and isinstance(message_id, str)):
        raise BadJson("sender, type and message_id must be strings")
    if len(message_id) > MAX_MESSAGE_ID or len(type) > MAX_NAME:
        raise InvalidParam("message_id or type is too long")
    try:
        if server_of(parse_user_id(sender)) != origin:
            raise InvalidParam("A server sends messages of its own users only")
    except InvalidId as error:
        raise BadJson(str(error)) from None
    digest = sha256(orjson.dumps(("federation", origin, message_id))).digest()
    at = tenant.clock.now() + REMEMBERED_LONGER
    rows: list[Row] = []
    wake: dict[str, None] = {}
    for user_id, device_id, message in _addressed(content.get("messages")):
        if user_id.endswith(f":{tenant.name}") and server_of(user_id) == tenant.name:
            json = _event(sender, type, message)
            rows.append(Row(APPEND_TO_DEVICE, (digest, at, user_id, device_id, json)))
            wake[topics.to_device(user_id)] = None
    if rows:
        size = sum(len(row.values[-1]) for row in rows if isinstance(row.values[-1], bytes))
        await tenant.journal.append(Change(tuple(rows), tuple(wake), size=size))


def _event(sender: str, type: str, content: JsonObject) -> bytes:
    json = orjson.dumps({"type": type, "sender": sender, "content": content})
    if len(json) > MAX_MESSAGE:
        raise TooLarge(f"A message to a device has at most {MAX_MESSAGE} bytes")
    return json


def _edus(
    sender: UserID, type: str, known_by: bytes, messages: list[tuple[UserID, str, bytes]]
) -> Iterator[bytes]:
    """The messages as EDUs, each with an ID of its own and not too large, if more than one message is in it."""
    part: dict[str, dict[str, Fragment]] = {}
    size = number = 0
    for user_id, device_id, json in messages:
        if part and size + len(json) > MAX_MESSAGE:
            yield _edu(sender, type, known_by, number, part)
            part, size, number = {}, 0, number + 1
        part.setdefault(user_id, {})[device_id] = Fragment(json)
        size += len(json) + len(user_id) + len(device_id)
    yield _edu(sender, type, known_by, number, part)


def _edu(
    sender: UserID, type: str, known_by: bytes, number: int, messages: dict[str, dict[str, Fragment]]
) -> bytes:
    message_id = sha256(known_by + number.to_bytes(4, "big")).hexdigest()[:MESSAGE_ID_LENGTH]
    content = {"sender": sender, "type": type, "message_id": message_id, "messages": messages}
    return orjson.dumps({"edu_type": EDU_TYPE, "content": content})


def _addressed(messages: Any) -> Iterator[tuple[str, str, JsonObject]]:
    """User ID, device ID and content of each message; raises BadJson."""
    if not isinstance(messages, dict) or not all(isinstance(devices, dict) for devices in messages.values()):
        raise BadJson("messages must map users to devices to contents")
    if sum(map(len, messages.values())) > MAX_ADDRESSEES:
        raise InvalidParam("This is for too many devices")
    for user_id, devices in messages.items():
        for device_id, content in devices.items():
            if not isinstance(content, dict):
                raise BadJson("messages must map users to devices to contents")
            if "\0" not in user_id and "\0" not in device_id and len(device_id) <= MAX_NAME:
                yield user_id, device_id, content
