"""Deleting files, at the paths where administrators' tools look for it."""

from __future__ import annotations

from media_repo import ClientCall
from media_repo.admin import only_administrators
from media_repo.download import checked_id
from protocol.matrix_error import InvalidParam
from services.media import removal
from web.endpoint import Auth, endpoint
from web.reply import Json

_BEGINNING = 1_000_000_000_000
"""Milliseconds; a time before (2001) was meant to be in seconds."""
_MOST = 1000


@endpoint("DELETE", "/_synapse/admin/v1/media/{serverName}/{mediaId}", auth=Auth.USER)
async def delete_media(call: ClientCall) -> Json:
    """Deletes one file; of another server what is kept of it here."""
    only_administrators(call)
    server, media_id = call.server_name(), checked_id(call.path["mediaId"])
    if server == call.tenant.name:
        return _deleted(await removal.remove(call.tenant, [media_id]))
    return _deleted(await removal.remove_remote(call.tenant, [(server, media_id)]))


@endpoint(
    "POST",
    "/_synapse/admin/v1/media/delete",
    auth=Auth.USER,
    also=("/_synapse/admin/v1/media/{serverName}/delete",),
)
async def delete_old_media(call: ClientCall) -> Json:
    """Deletes files of ours that nobody has asked for since `before_ts`."""
    only_administrators(call)
    larger, keep = call.query_integer("size_gt", 0, 0), call.query_flag("keep_profiles", True)
    before = _before(call)
    return _deleted(await removal.remove_unused(call.tenant, before, larger, spare_pictures=keep))


@endpoint("POST", "/_synapse/admin/v1/purge_media_cache", auth=Auth.USER)
async def purge_media_cache(call: ClientCall) -> Json:
    """Deletes what is kept of other servers' files and nobody has asked for since `before_ts`."""
    only_administrators(call)
    return {"deleted": await removal.remove_unused_cached(call.tenant, _before(call))}


@endpoint("DELETE", "/_synapse/admin/v1/users/{userId}/media", auth=Auth.USER)
async def delete_user_media(call: ClientCall) -> Json:
    """Deletes files of a user, the oldest first."""
    only_administrators(call)
    limit = call.query_integer("limit", 100, 1, _MOST)
    return _deleted(await removal.remove_of_user(call.tenant, call.user_id(), limit))


def _before(call: ClientCall) -> int:
    call.query_text("before_ts")
    before = call.query_integer("before_ts", 0, 0)
    if before < _BEGINNING:
        raise InvalidParam("before_ts is in milliseconds, and not before 2001")
    return before


def _deleted(media_ids: list[str]) -> Json:
    return {"deleted_media": media_ids, "total": len(media_ids)}
