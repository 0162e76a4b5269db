"""Third-party invites (§Third-party invites): somebody invited by e-mail turns out to be a user of a homeserver."""

from federation import AnonymousCall, ServerCall
from protocol.ids import parse_room_id, parse_user_id
from protocol.json import JsonObject
from protocol.matrix_error import InvalidParam
from services.rooms.membership.third_party import BoundInvite, bind_invites, exchange_invite
from web.body import Fields
from web.endpoint import Auth, endpoint
from web.reply import Json

MAX_INVITES = 50


@endpoint("PUT", "/_matrix/federation/v1/exchange_third_party_invite/{roomId}", auth=Auth.SERVER)
async def exchange_third_party_invite(call: ServerCall) -> Json:
    """Makes an invite of a third-party invite that a user of ours has sent."""
    content = call.object("content")
    if call.text("type") != "m.room.member" or content.get("membership") != "invite":
        raise InvalidParam("The event is no invite")
    if call.text("room_id") != call.room_id():
        raise InvalidParam("The event is of another room than the path names")
    guest = parse_user_id(call.text("state_key"))
    signed = _signed(content.get("third_party_invite"))
    await exchange_invite(call.tenant, call.requester.server_name, call.room_id(), guest, signed)
    return {}


# The specification says PUT; identity servers send POST.
@endpoint("PUT", "/_matrix/federation/v1/3pid/onbind", auth=Auth.NONE)
@endpoint("POST", "/_matrix/federation/v1/3pid/onbind", auth=Auth.NONE)
async def on_bind_third_party_identifier(call: AnonymousCall) -> Json:
    """An identity server tells that an address has become one of a user of ours, who was invited under it."""
    invites = [_bound(Fields(json)) for json in call.fields.objects("invites")[:MAX_INVITES]]
    await bind_invites(call.tenant, invites)
    return {}


def _bound(fields: Fields) -> BoundInvite:
    return BoundInvite(
        parse_room_id(fields.text("room_id")),
        parse_user_id(fields.text("sender")),
        parse_user_id(fields.text("mxid")),
        fields.object("signed"),
    )


def _signed(invite: object) -> JsonObject:
    signed = invite.get("signed") if isinstance(invite, dict) else None
    if not isinstance(signed, dict):
        raise InvalidParam("third_party_invite has no signed")
    return signed
