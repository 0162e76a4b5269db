"""The published room directory (§Published room directory)."""

from typing import Any

from client_api import AnonymousCall, ClientCall
from protocol.ids import parse_server_name
from protocol.json import JsonObject
from protocol.matrix_error import BadJson, InvalidParam
from services import directory
from services.directory import DEFAULT_LIMIT, MAX_LIMIT, DirectoryQuery
from services.tenant import Tenant
from web.body import Fields
from web.endpoint import GENERAL, Auth, endpoint
from web.reply import Json

_VISIBILITY = "/_matrix/client/v3/directory/list/room/{roomId}"
_ROOMS = "/_matrix/client/v3/publicRooms"


@endpoint("GET", _VISIBILITY, auth=Auth.NONE)
async def get_room_visibility_on_directory(call: AnonymousCall) -> Json:
    """Does the room stand in the directory?"""
    published = await directory.is_in_directory(call.tenant, call.room_id())
    return {"visibility": "public" if published else "private"}


@endpoint("PUT", _VISIBILITY, auth=Auth.USER, limit=GENERAL)
async def set_room_visibility_on_directory(call: ClientCall) -> Json:
    """Puts the room into the directory, or takes it out."""
    visibility = call.text("visibility", "public")
    if visibility not in ("public", "private"):
        raise InvalidParam("visibility is public or private")
    await directory.set_in_directory(call.tenant, call.requester, call.room_id(), visibility == "public")
    return {}


@endpoint("GET", _ROOMS, auth=Auth.NONE, limit=GENERAL)
async def get_public_rooms(call: AnonymousCall) -> Json:
    """The directory, page by page."""
    limit = call.query_integer("limit", DEFAULT_LIMIT, 0, MAX_LIMIT)
    query = DirectoryQuery(limit=limit, since=call.query_text("since", None))
    asked = {"limit": query.limit} | ({"since": query.since} if query.since is not None else {})
    return await _public_rooms(call.tenant, call.query_text("server", None), query, asked)


@endpoint("POST", _ROOMS, auth=Auth.USER, limit=GENERAL)
async def query_public_rooms(call: ClientCall) -> Json:
    """Those of the directory's rooms that match the filter, page by page."""
    wanted = call.fields.fields("filter")
    network = call.text("third_party_instance_id", "")
    everywhere = call.flag("include_all_networks", False)
    if everywhere and network:
        raise InvalidParam("third_party_instance_id is only for one network")
    query = DirectoryQuery(
        limit=call.integer("limit", DEFAULT_LIMIT, minimum=0, maximum=MAX_LIMIT),
        since=call.text("since", None),
        term=wanted.text("generic_search_term", None) or None,
        room_types=_room_types(wanted),
        network=None if everywhere else network,
    )
    return await _public_rooms(
        call.tenant, call.query_text("server", None), query, call.json_object_or_empty()
    )


async def _public_rooms(tenant: Tenant, server: str | None, query: DirectoryQuery, asked: JsonObject) -> Json:
    if server is None or server == tenant.name:
        return await directory.public_rooms(tenant, query)
    return await directory.public_rooms_elsewhere(tenant, parse_server_name(server), asked)


def _room_types(wanted: Fields) -> tuple[str | None, ...] | None:
    types: Any = wanted.json.get("room_types")
    if types is None:
        return None
    if not isinstance(types, list) or not all(kind is None or isinstance(kind, str) for kind in types):
        raise BadJson("room_types must be a list of strings and nulls")
    return tuple(types)
