"""Invites and knocks, with the little of the room that one who is not in it may know; and how they ended."""

from __future__ import annotations

from typing import Any

import asyncpg
import orjson

from services.rooms.client_event import shared_json, splice, stripped, unsigned_member
from services.sync.look import Look
from services.sync.streams.rooms import Rooms
from services.sync.token import Token
from storage.state_reading import state_events

Json = dict[str, Any]


async def changes(look: Look, rooms: Rooms) -> dict[str, Json]:
    """The sections `invite`, `knock` and `leave` (of rooms that the user was never in)."""
    rows = (*rooms.invites, *rooms.knocks, *rooms.retired)
    if not rows:
        return {}
    tx = await look.connection.tx()
    own = {row["event_id"]: row for row in await state_events(tx, [row["event_id"] for row in rows])}
    sections = {
        "invite": {row["room_id"]: {"invite_state": _events(row, own)} for row in rooms.invites},
        "knock": {row["room_id"]: {"knock_state": _events(row, own)} for row in rooms.knocks},
        "leave": {row["room_id"]: _ended(look, row, own) for row in rooms.retired},
    }
    return {name: section for name, section in sections.items() if section}


def _events(row: asyncpg.Record, own: dict[str, asyncpg.Record]) -> Json:
    events = orjson.loads(row["stripped"]) if row["stripped"] is not None else []
    member = own.get(row["event_id"])
    if member is not None:
        json = orjson.loads(member["json"])
        # More than is asked for: clients that show or sort by when one was invited look here (Cinny, Element).
        when = {"event_id": member["event_id"], "origin_server_ts": json["origin_server_ts"]}
        events.append(stripped(json) | when)
    return {"events": events}


def _ended(look: Look, row: asyncpg.Record, own: dict[str, asyncpg.Record]) -> Json:
    """An invite that was refused or taken back, a knock that was: all that there is to see is the end itself."""
    events = []
    member = own.get(row["event_id"])
    if member is not None:
        shared = shared_json(member["event_id"], orjson.loads(member["json"]))
        events.append(
            orjson.Fragment(splice(shared, unsigned_member(look.now - member["origin_server_ts"], b"")))
        )
    state = "state_after" if look.state_after else "state"
    return {
        "timeline": {"events": events, "limited": False, "prev_batch": str(Token(row["position"]))},
        state: {"events": []},
        "account_data": {"events": []},
    }
