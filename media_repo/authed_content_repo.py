"""Downloading files and thumbnails with an access token (§Content repository, v1.11)."""

from __future__ import annotations

from media_repo import ClientCall
from media_repo.download import find_media, serve_media
from media_repo.thumbnails import serve_thumbnail
from media_repo.upload import checked_name
from protocol.matrix_error import InvalidParam
from storage.media import Media
from web.endpoint import MEDIA, Auth, endpoint
from web.reply import Json, Reply

_MAX_SIDE = 8192


@endpoint("GET", "/_matrix/client/v1/media/config", auth=Auth.USER, limit=MEDIA)
async def get_config_authed(call: ClientCall) -> Json:
    """How large a file may be, in bytes."""
    return {"m.upload.size": call.tenant.settings.media.max_upload}


@endpoint(
    "GET", "/_matrix/client/v1/media/download/{serverName}/{mediaId}", auth=Auth.USER, limit=MEDIA, guest=True
)
async def get_content_authed(call: ClientCall) -> Reply:
    """The file."""
    return serve_media(call.tenant, await _asked_for(call))


@endpoint(
    "GET",
    "/_matrix/client/v1/media/download/{serverName}/{mediaId}/{fileName}",
    auth=Auth.USER,
    limit=MEDIA,
    guest=True,
)
async def get_content_override_name_authed(call: ClientCall) -> Reply:
    """The file, under another name."""
    return serve_media(call.tenant, await _asked_for(call), checked_name(call.path["fileName"]))


@endpoint(
    "GET",
    "/_matrix/client/v1/media/thumbnail/{serverName}/{mediaId}",
    auth=Auth.USER,
    limit=MEDIA,
    guest=True,
)
async def get_content_thumbnail_authed(call: ClientCall) -> Reply:
    """A smaller picture of the file."""
    width = call.query_integer("width", 0, 1, _MAX_SIDE)
    height = call.query_integer("height", 0, 1, _MAX_SIDE)
    method = call.query_text("method", "scale")
    if not width or not height:
        raise InvalidParam("width and height are needed")
    if method not in ("crop", "scale"):
        raise InvalidParam("method must be crop or scale")
    return await serve_thumbnail(call.tenant, await _asked_for(call), width, height, method)


async def _asked_for(call: ClientCall) -> Media:
    return await find_media(call.tenant, call.server_name(), call.path["mediaId"])
