"""Reporting events, rooms and users to the administrators (§Reporting Content)."""

from client_api import ClientCall
from services import reports
from web.endpoint import GENERAL, Auth, endpoint
from web.reply import Json


@endpoint("POST", "/_matrix/client/v3/rooms/{roomId}/report/{eventId}", auth=Auth.USER, limit=GENERAL)
async def report_event(call: ClientCall) -> Json:
    """Reports an event."""
    reason = call.text("reason", None)
    await reports.report_event(call.tenant, call.requester, call.room_id(), call.event_id(), reason)
    return {}


@endpoint("POST", "/_matrix/client/v3/rooms/{roomId}/report", auth=Auth.USER, limit=GENERAL)
async def report_room(call: ClientCall) -> Json:
    """Reports a room; 200 whether or not there is such a room."""
    await reports.report_room(call.tenant, call.requester, call.room_id(), call.text("reason"))
    return {}


@endpoint("POST", "/_matrix/client/v3/users/{userId}/report", auth=Auth.USER, limit=GENERAL)
async def report_user(call: ClientCall) -> Json:
    """Reports a user; 200 whether or not there is such a user."""
    await reports.report_user(call.tenant, call.requester, call.user_id(), call.text("reason"))
    return {}
