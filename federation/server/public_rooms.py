"""Our room directory, for other servers (§Published Room Directory)."""

from __future__ import annotations

from typing import Any

from federation import ServerCall
from protocol.matrix_error import BadJson, InvalidParam
from services import directory
from services.directory import DEFAULT_LIMIT, MAX_LIMIT, DirectoryQuery
from web.endpoint import Auth, endpoint
from web.reply import Json

_ROOMS = "/_matrix/federation/v1/publicRooms"


@endpoint("GET", _ROOMS, auth=Auth.SERVER)
async def get_public_rooms(call: ServerCall) -> Json:
    """The directory, page by page."""
    network = call.query_text("third_party_instance_id", "")
    everywhere = call.query_flag("include_all_networks")
    query = DirectoryQuery(
        limit=_limit(call.query_integer("limit", 0, 0, MAX_LIMIT)),
        since=call.query_text("since", None),
        network=_network(network, everywhere),
    )
    return await directory.public_rooms(call.tenant, query)


@endpoint("POST", _ROOMS, auth=Auth.SERVER)
async def query_public_rooms(call: ServerCall) -> Json:
    """Those of the directory's rooms that match the filter, page by page."""
    wanted = call.fields.fields("filter")
    query = DirectoryQuery(
        limit=_limit(call.integer("limit", 0, minimum=0, maximum=MAX_LIMIT)),
        since=call.text("since", None),
        term=wanted.text("generic_search_term", None) or None,
        room_types=_room_types(wanted.json.get("room_types")),
        network=_network(call.text("third_party_instance_id", ""), call.flag("include_all_networks", False)),
    )
    return await directory.public_rooms(call.tenant, query)


def _limit(asked: int) -> int:
    """«Defaults to 0 (no limit).»"""
    return asked or DEFAULT_LIMIT


def _network(network: str, everywhere: bool) -> str | None:
    if network and everywhere:
        raise InvalidParam("third_party_instance_id is only for one network")
    return None if everywhere else network


def _room_types(types: Any) -> tuple[str | None, ...] | None:
    if types is None:
        return None
    if not isinstance(types, list) or not all(kind is None or isinstance(kind, str) for kind in types):
        raise BadJson("room_types must be a list of strings and nulls")
    return tuple(types)
