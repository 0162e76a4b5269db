"""Events as clients see them: JSON of which one copy serves all readers, and the `unsigned` that each reader gets.

The shared part has neither `room_id` (which /sync leaves out) nor `unsigned`; both are spliced in as bytes, so that an
event is serialised once however many read it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import asyncpg
import orjson

from protocol.events import REDACTION
from protocol.json import JsonObject, encoded

STRIPPED_FIELDS = ("content", "sender", "state_key", "type")


def shared_json(event_id: str, json: Mapping[str, Any]) -> bytes:
    """The client format of an event in federation format, without `room_id` and `unsigned`."""
    client = {
        "content": json["content"],
        "event_id": event_id,
        "origin_server_ts": json["origin_server_ts"],
        "sender": json["sender"],
        "type": json["type"],
    }
    if "state_key" in json:
        client["state_key"] = json["state_key"]
    if json["type"] == REDACTION:
        _show_redacts_in_both_places(client, json)
    return encoded(client)


def _show_redacts_in_both_places(client: JsonObject, json: Mapping[str, Any]) -> None:
    # «For backwards-compatibility with older clients, servers should add a redacts property to the top level of
    # m.room.redaction events [...]», and in older rooms to the content too (room version 11).
    target = json.get("redacts") or json["content"].get("redacts")
    if isinstance(target, str):
        client["redacts"] = target
        client["content"] = {**json["content"], "redacts": target}


def fixed_unsigned(
    replaces_state: str | None,
    replaced: Mapping[str, Any] | None,
    redaction: tuple[str, Mapping[str, Any]] | None,
) -> bytes:
    """The members of `unsigned` that are the same for all readers, as JSON members that follow others (`,"a":1`).

    `replaced` is the event that a state event took the place of, `redaction` the ID and the event that redacted this one.
    """
    parts: dict[str, Any] = {}
    if replaces_state is not None:
        parts["replaces_state"] = replaces_state
    if replaced is not None:
        parts["prev_content"] = replaced["content"]
        parts["prev_sender"] = replaced["sender"]
    if redaction is not None:
        parts["redacted_because"] = orjson.Fragment(
            splice(shared_json(*redaction), b',"unsigned":{}', redaction[1].get("room_id"))
        )
    return b"," + encoded(parts)[1:-1] if parts else b""


def splice(shared: bytes, members: bytes, room_id: str | None = None) -> bytes:
    """The shared JSON with further members (`,"a":1`) at its end, and the room's ID where that is to be told."""
    if room_id is not None:
        members = b',"room_id":' + orjson.dumps(room_id) + members
    return shared[:-1] + members + b"}"


def unsigned_member(
    age: int, fixed: bytes, membership: str | None = None, txn_id: str | None = None
) -> bytes:
    """`,"unsigned":{...}` for one reader: `txn_id` only for the device that sent it, `membership` the reader's at the event."""
    more = b"" if membership is None else b',"membership":' + orjson.dumps(membership)
    if txn_id is not None:
        more += b',"transaction_id":' + orjson.dumps(txn_id)
    return b',"unsigned":{"age":%d%b%b}' % (max(age, 0), more, fixed)


def state_json(row: asyncpg.Record, room_id: str, now: int) -> bytes:
    """A state event as `storage.state_reading` reads it, for clients, with the ID of its room."""
    shared = shared_json(row["event_id"], orjson.loads(row["json"]))
    return splice(shared, unsigned_member(now - row["origin_server_ts"], b""), room_id)


def stripped(json: Mapping[str, Any]) -> JsonObject:
    """The stripped form of a state event (§Stripped state)."""
    return {field: json[field] for field in STRIPPED_FIELDS if field in json}
