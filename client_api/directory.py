"""Room aliases (§Room aliases): names that lead to rooms."""

from client_api import AnonymousCall, ClientCall
from protocol.ids import parse_room_id
from services import aliases
from web.endpoint import GENERAL, Auth, endpoint
from web.reply import Json

_ALIAS = "/_matrix/client/v3/directory/room/{roomAlias}"


@endpoint("PUT", _ALIAS, auth=Auth.USER, limit=GENERAL)
async def set_room_alias(call: ClientCall) -> Json:
    """Makes a new alias."""
    room_id = parse_room_id(call.text("room_id"))
    await aliases.create_alias(call.tenant, call.requester, call.room_alias(), room_id)
    return {}


@endpoint("GET", _ALIAS, auth=Auth.NONE)
async def get_room_id_by_alias(call: AnonymousCall) -> Json:
    """The room, and servers to join it through."""
    room_id, servers = await aliases.resolve_alias(call.tenant, call.room_alias())
    return {"room_id": room_id, "servers": servers}


@endpoint("DELETE", _ALIAS, auth=Auth.USER, limit=GENERAL)
async def delete_room_alias(call: ClientCall) -> Json:
    """Removes an alias."""
    await aliases.delete_alias(call.tenant, call.requester, call.room_alias())
    return {}


@endpoint("GET", "/_matrix/client/v3/rooms/{roomId}/aliases", auth=Auth.USER, limit=GENERAL)
async def get_local_aliases(call: ClientCall) -> Json:
    """This server's aliases of the room."""
    return {"aliases": await aliases.aliases_of_room(call.tenant, call.requester, call.room_id())}
