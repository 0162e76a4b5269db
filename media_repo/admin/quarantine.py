"""Quarantine: files that nobody is given, at the paths where administrators' tools look for it."""

from __future__ import annotations

from media_repo import ClientCall
from media_repo.admin import only_administrators
from media_repo.download import checked_id
from protocol.matrix_error import NotFound
from services.media import quarantine
from web.endpoint import Auth, endpoint
from web.reply import Json

_MEDIA = "/_synapse/admin/v1/media"


@endpoint("POST", f"{_MEDIA}/quarantine/{{serverName}}/{{mediaId}}", auth=Auth.USER)
async def quarantine_media(call: ClientCall) -> Json:
    """Nobody is given the file any more, nor others with equal bytes."""
    only_administrators(call)
    media_id = checked_id(call.path["mediaId"])
    await quarantine.put_file(call.tenant, call.server_name(), media_id, call.requester.user_id)
    return {}


@endpoint("POST", f"{_MEDIA}/unquarantine/{{serverName}}/{{mediaId}}", auth=Auth.USER)
async def unquarantine_media(call: ClientCall) -> Json:
    """The file is given out again."""
    only_administrators(call)
    await quarantine.release_file(call.tenant, call.server_name(), checked_id(call.path["mediaId"]))
    return {}


@endpoint(
    "POST",
    "/_synapse/admin/v1/room/{roomId}/media/quarantine",
    auth=Auth.USER,
    also=("/_synapse/admin/v1/quarantine_media/{roomId}",),
)
async def quarantine_room_media(call: ClientCall) -> Json:
    """The same for all files that events of a room name, as far as they can be read."""
    only_administrators(call)
    return {"num_quarantined": await quarantine.put_room(call.tenant, call.room_id(), call.requester.user_id)}


@endpoint("POST", "/_synapse/admin/v1/user/{userId}/media/quarantine", auth=Auth.USER)
async def quarantine_user_media(call: ClientCall) -> Json:
    """The same for all files of a user."""
    only_administrators(call)
    return {"num_quarantined": await quarantine.put_user(call.tenant, call.user_id(), call.requester.user_id)}


@endpoint("POST", f"{_MEDIA}/protect/{{mediaId}}", auth=Auth.USER)
async def protect_media(call: ClientCall) -> Json:
    """A file of ours is kept from quarantine, and from being deleted for its age."""
    return await _protected(call, True)


@endpoint("POST", f"{_MEDIA}/unprotect/{{mediaId}}", auth=Auth.USER)
async def unprotect_media(call: ClientCall) -> Json:
    """It is not any more."""
    return await _protected(call, False)


async def _protected(call: ClientCall, protected: bool) -> Json:
    only_administrators(call)
    if not await quarantine.protect_file(call.tenant, checked_id(call.path["mediaId"]), protected):
        raise NotFound("There is no such file")
    return {}
