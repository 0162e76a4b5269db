"""Single questions: profiles, room aliases, and whatever else may be asked some day (§Querying for information)."""

from __future__ import annotations

from federation import ServerCall
from protocol.errors import InvalidId
from protocol.ids import parse_room_alias, parse_user_id, server_of
from protocol.matrix_error import InvalidParam, NotFound, Unrecognized
from services import aliases, profiles
from web.endpoint import Auth, endpoint
from web.reply import Json


@endpoint("GET", "/_matrix/federation/v1/query/directory", auth=Auth.SERVER)
async def query_room_directory(call: ServerCall) -> Json:
    """The room of an alias of ours, and servers that are in it."""
    try:
        alias = parse_room_alias(call.query_text("room_alias"))
    except InvalidId as error:
        raise InvalidParam(str(error)) from None
    if server_of(alias) != call.tenant.name:
        raise NotFound("This is no alias of this server")
    room_id, servers = await aliases.resolve_alias(call.tenant, alias)
    return {"room_id": room_id, "servers": servers}


@endpoint("GET", "/_matrix/federation/v1/query/profile", auth=Auth.SERVER)
async def query_profile(call: ServerCall) -> Json:
    """What one of our users shows, or one field of it."""
    try:
        user_id = parse_user_id(call.query_text("user_id"))
    except InvalidId as error:
        raise InvalidParam(str(error)) from None
    if server_of(user_id) != call.tenant.name:
        raise InvalidParam("This is no user of this server")
    field = call.query_text("field", None)
    return await profiles.profile_for_server(call.tenant, call.requester.server_name, user_id, field)


@endpoint("GET", "/_matrix/federation/v1/query/{queryType}", auth=Auth.SERVER)
async def query_info(call: ServerCall) -> Json:
    """There are no other questions that we understand."""
    raise Unrecognized("This server does not answer such queries")
