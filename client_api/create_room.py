"""Creating rooms (§Creation)."""

from client_api import ClientCall
from protocol.build import EventDraft
from protocol.ids import parse_user_id
from services.rooms import create
from web.body import Fields
from web.endpoint import GENERAL, Auth, endpoint
from web.reply import Json


@endpoint("POST", "/_matrix/client/v3/createRoom", auth=Auth.USER, limit=GENERAL)
async def create_room(call: ClientCall) -> Json:
    """The ID of the new room."""
    return {"room_id": await create.create_room(call.tenant, call.requester, _request(call.fields))}


def _request(fields: Fields) -> create.CreateRoom:
    return create.CreateRoom(
        visibility=fields.text("visibility", "private"),
        preset=fields.text("preset", None),
        room_version=fields.text("room_version", None),
        alias_name=fields.text("room_alias_name", None),
        name=fields.text("name", None),
        topic=fields.text("topic", None),
        invite=tuple(map(parse_user_id, fields.strings("invite", []))),
        invites_third_parties=_invites_third_parties(fields),
        is_direct=fields.flag("is_direct", False),
        creation_content=fields.object("creation_content", {}),
        initial_state=_initial_state(fields),
        power_level_override=fields.object("power_level_content_override", {}),
    )


def _invites_third_parties(fields: Fields) -> bool:
    invites = [Fields(json) for json in fields.objects("invite_3pid", [])]
    for invite in invites:
        for name in ("id_server", "id_access_token", "medium", "address"):
            invite.text(name)
    return bool(invites)


def _initial_state(fields: Fields) -> tuple[EventDraft, ...]:
    given = [Fields(json) for json in fields.objects("initial_state", [])]
    return tuple(EventDraft(f.text("type"), f.object("content"), f.text("state_key", "")) for f in given)
