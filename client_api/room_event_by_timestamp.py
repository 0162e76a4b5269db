"""Jumping to a date (§Retrieving events by timestamp)."""

from __future__ import annotations

from client_api import ClientCall
from protocol.matrix_error import InvalidParam
from services.rooms.at_time import event_at_time
from web.endpoint import GENERAL, Auth, endpoint
from web.reply import Json


@endpoint("GET", "/_matrix/client/v1/rooms/{roomId}/timestamp_to_event", auth=Auth.USER, limit=GENERAL)
async def get_event_by_timestamp(call: ClientCall) -> Json:
    """The event that is next to a time."""
    direction = call.query_text("dir")
    if direction not in ("f", "b"):
        raise InvalidParam("dir is f or b")
    call.query_text("ts")
    at = call.query_integer("ts", 0)
    event_id, origin_server_ts = await event_at_time(
        call.tenant, call.requester, call.room_id(), at, forwards=direction == "f"
    )
    return {"event_id": event_id, "origin_server_ts": origin_server_ts}
