"""Importing history (`com.beeper.backfill`): what mautrix bridges call `batch_send`, as far as it can be had here."""

from typing import Any

from client_api import ClientCall
from protocol.ids import parse_user_id
from protocol.matrix_error import BadJson, InvalidParam
from services.appservices.import_history import import_history, is_empty
from services.appservices.past import Past
from web.body import Fields, clean_text
from web.endpoint import MESSAGES, Auth, endpoint
from web.reply import Json

MAX_BODY = 8 * 1024 * 1024
LATEST = 2**53 - 1


@endpoint(
    "POST",
    "/_matrix/client/unstable/com.beeper.backfill/rooms/{roomId}/batch_send",
    auth=Auth.APPSERVICE,
    limit=MESSAGES,
    max_body=MAX_BODY,
)
async def batch_send(call: ClientCall) -> Json:
    """The IDs of the events, which stand at the room's end, or, where nobody else can be in the room, before its beginning."""
    room_id, read_by = call.room_id(), call.text("mark_read_by", None)
    forward, if_empty = call.flag("forward", False), call.flag("forward_if_no_messages", False)
    call.flag("send_notification", False)
    past = [_past(one) for one in _list(call.fields)]
    at_end = forward or (if_empty and await is_empty(call.tenant, room_id))
    reader = None if read_by is None else parse_user_id(read_by)
    ids = await import_history(call.tenant, call.requester, room_id, past, reader, at_end=at_end)
    return {"event_ids": ids}


def _list(fields: Fields) -> list[Any]:
    events = fields.json.get("events")
    if not isinstance(events, list) or not all(isinstance(one, dict) for one in events):
        raise BadJson("events must be a list of events")
    return events


def _past(json: dict[str, Any]) -> Past:
    fields = Fields(json)
    if json.get("state_key") is not None:
        raise InvalidParam("State is not imported")
    at = fields.integer("origin_server_ts", minimum=0, maximum=LATEST)
    sender = parse_user_id(fields.text("sender"))
    return Past(sender, clean_text("type", fields.text("type")), fields.object("content"), at)
