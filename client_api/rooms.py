"""Reading rooms (§Getting events for a room)."""

from client_api import ClientCall
from protocol.matrix_error import InvalidParam
from services.rooms.read import joined_members, members, one_event, state_event, whole_state
from services.rooms.unredacted import unredacted_event
from services.sync.token import parse_token
from web.endpoint import Auth, endpoint
from web.reply import Json, Reply

MEMBERSHIPS = ("join", "invite", "knock", "leave", "ban")

_ROOM = "/_matrix/client/v3/rooms/{roomId}"
_STATE = _ROOM + "/state/{eventType}"


@endpoint("GET", _ROOM + "/event/{eventId}", auth=Auth.USER, guest=True)
async def get_one_room_event(call: ClientCall) -> Reply:
    """The event. Moderators may ask for what it said before it was redacted (MSC2815)."""
    show = unredacted_event if call.query_flag("fi.mau.msc2815.include_unredacted_content") else one_event
    found = await show(call.tenant, call.requester, call.room_id(), call.event_id())
    return Reply(body=found, content_type="application/json")


@endpoint("GET", _ROOM + "/state", auth=Auth.USER, guest=True)
async def get_room_state(call: ClientCall) -> Json:
    """All state events."""
    return await whole_state(call.tenant, call.requester, call.room_id())


@endpoint("GET", _STATE + "/{stateKey}", auth=Auth.USER, guest=True, also=(_STATE, _STATE + "/"))
async def get_room_state_with_key(call: ClientCall) -> Reply:
    """The content of a state event, or the event."""
    format = call.query_text("format", "content")
    if format not in ("content", "event"):
        raise InvalidParam("format must be content or event")
    key = call.path["eventType"], call.path.get("stateKey", "")
    found = await state_event(call.tenant, call.requester, call.room_id(), key, whole=format == "event")
    return Reply(body=found, content_type="application/json")


@endpoint("GET", _ROOM + "/members", auth=Auth.USER, guest=True)
async def get_members_by_room(call: ClientCall) -> Json:
    """The member events, now or at a token; of certain memberships only, where they are named."""
    at = call.query_text("at", "")
    membership, unwanted = _membership(call, "membership"), _membership(call, "not_membership")

    def wanted(value: object) -> bool:
        # «When specified alongside not_membership, the two parameters create an "or" condition.»
        if membership is None and unwanted is None:
            return True
        return value == membership if unwanted is None else value in (membership,) or value != unwanted

    position = parse_token(at).position if at else None
    return {"chunk": await members(call.tenant, call.requester, call.room_id(), position, wanted)}


@endpoint("GET", _ROOM + "/joined_members", auth=Auth.USER)
async def get_joined_members_by_room(call: ClientCall) -> Json:
    """Who is in the room, with names and avatars."""
    return {"joined": await joined_members(call.tenant, call.requester, call.room_id())}


def _membership(call: ClientCall, name: str) -> str | None:
    value = call.query_text(name, None)
    if value is not None and value not in MEMBERSHIPS:
        raise InvalidParam(f"{name} must be one of " + ", ".join(MEMBERSHIPS))
    return value
