"""Creating rooms (§Creation)."""

from client_api import ClientCall
from client_api.reasons import third_party_of
from protocol.build import EventDraft
from protocol.ids import parse_user_id
from services.rooms import create
from services.threepids.identity import identity_server
from services.threepids.invite import invite_third_party
from web.body import Fields
from web.endpoint import GENERAL, Auth, endpoint
from web.reply import Json


@endpoint("POST", "/_matrix/client/v3/createRoom", auth=Auth.USER, limit=GENERAL)
async def create_room(call: ClientCall) -> Json:
    """The ID of the new room."""
    guests = [third_party_of(Fields(json)) for json in call.fields.objects("invite_3pid", [])]
    for guest in guests:
        identity_server(call.tenant, guest.id_server)
    room_id = await create.create_room(call.tenant, call.requester, _request(call.fields))
    content = {"is_direct": True} if call.flag("is_direct", False) else {}
    for guest in guests:
        await invite_third_party(call.tenant, call.requester, room_id, guest, content)
    return {"room_id": room_id}


def _request(fields: Fields) -> create.CreateRoom:
    return create.CreateRoom(
        visibility=fields.text("visibility", "private"),
        preset=fields.text("preset", None),
        room_version=fields.text("room_version", None),
        alias_name=fields.text("room_alias_name", None),
        name=fields.text("name", None),
        topic=fields.text("topic", None),
        invite=tuple(map(parse_user_id, fields.strings("invite", []))),
        is_direct=fields.flag("is_direct", False),
        creation_content=fields.object("creation_content", {}),
        initial_state=_initial_state(fields),
        power_level_override=fields.object("power_level_content_override", {}),
    )


def _initial_state(fields: Fields) -> tuple[EventDraft, ...]:
    given = [Fields(json) for json in fields.objects("initial_state", [])]
    return tuple(EventDraft(f.text("type"), f.object("content"), f.text("state_key", "")) for f in given)
