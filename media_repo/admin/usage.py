"""Which files there are and who keeps how much, at the paths where administrators' tools look for it."""

from __future__ import annotations

from typing import Any

from media_repo import ClientCall
from media_repo.admin import only_administrators
from media_repo.download import checked_id
from protocol.matrix_error import InvalidParam, NotFound
from services.media import accounting
from services.media.accounting import ORDERS, Page
from web.endpoint import Auth, endpoint
from web.reply import Json

_DEFAULT, _MOST, _FARTHEST = 100, 1000, 2**31


@endpoint("GET", "/_synapse/admin/v1/users/{userId}/media", auth=Auth.USER)
async def list_user_media(call: ClientCall) -> Json:
    """A page of a user's files."""
    only_administrators(call)
    order, direction = call.query_text("order_by", "created_ts"), call.query_text("dir", None)
    if order not in ORDERS:
        raise InvalidParam(f"order_by must be one of {', '.join(ORDERS)}")
    if direction not in ("f", "b", None):
        raise InvalidParam("dir must be f or b")
    newest_first = direction == "b" or (direction is None and order == "created_ts")
    start, limit = _page(call)
    page = Page(order, newest_first, start, limit)
    total, files = await accounting.files_of_user(call.tenant, call.user_id(), page)
    return {"media": [_shown(file) for file in files], "total": total} | _next(start, len(files), total)


@endpoint("GET", "/_synapse/admin/v1/media/{serverName}/{mediaId}", auth=Auth.USER)
async def get_media_info(call: ClientCall) -> Json:
    """What is known of one file."""
    only_administrators(call)
    server = call.server_name()
    file = await accounting.file_of(call.tenant, server, checked_id(call.path["mediaId"]))
    if file is None:
        raise NotFound("There is no such file here")
    return {"media_info": _shown(file) | {"media_origin": server, "user_id": file["user_id"]}}


@endpoint("GET", "/_synapse/admin/v1/room/{roomId}/media", auth=Auth.USER)
async def list_room_media(call: ClientCall) -> Json:
    """The files that events of a room name, as far as they can be read."""
    only_administrators(call)
    local: list[str] = []
    remote: list[str] = []
    for origin, media_id in await accounting.files_in_room(call.tenant, call.room_id()):
        (local if origin == call.tenant.name else remote).append(f"mxc://{origin}/{media_id}")
    return {"local": local, "remote": remote}


@endpoint("GET", "/_synapse/admin/v1/statistics/users/media", auth=Auth.USER)
async def list_media_usage_of_users(call: ClientCall) -> Json:
    """How many files and bytes users keep here, those with most first."""
    only_administrators(call)
    start, limit = _page(call)
    found = await accounting.users_by_usage(call.tenant, call.query_text("search_term", None), start, limit)
    users = [
        {"user_id": row["user_id"], "media_count": row["files"], "media_length": row["bytes"]}
        for row in found
    ]
    total = found[0]["total"] if found else 0
    return {"users": users, "total": total} | _next(start, len(users), total)


@endpoint("GET", "/_hearth/admin/v1/statistics/rooms/media", auth=Auth.USER)
async def list_media_usage_of_rooms(call: ClientCall) -> Json:
    """How many files and bytes of those that are here events of rooms name, the fullest first."""
    only_administrators(call)
    start, limit = _page(call)
    found = await accounting.rooms_by_usage(call.tenant, start, limit)
    rooms = [
        {"room_id": row["room_id"], "media_count": row["files"], "media_length": row["bytes"]}
        for row in found
    ]
    total = found[0]["total"] if found else 0
    return {"rooms": rooms, "total": total} | _next(start, len(rooms), total)


def _page(call: ClientCall) -> tuple[int, int]:
    return call.query_integer("from", 0, 0, _FARTHEST), call.query_integer("limit", _DEFAULT, 1, _MOST)


def _next(start: int, shown: int, total: int) -> dict[str, int]:
    return {"next_token": start + shown} if start + shown < total else {}


def _shown(file: Any) -> dict[str, Any]:
    return {
        "media_id": file["media_id"],
        "media_type": file["content_type"],
        "media_length": file["size"],
        "upload_name": file["file_name"],
        "created_ts": file["created"],
        "last_access_ts": file["used"],
        "quarantined_by": file["quarantined_by"],
        "safe_from_quarantine": file["protected"],
        "downloads": file["downloads"],
    }
