"""Downloading files and thumbnails with an access token (§Content repository, v1.11)."""

from __future__ import annotations

from media_repo import ClientCall
from media_repo.asked_thumbnail import asked_thumbnail
from media_repo.download import DEFAULT_PATIENCE, MAX_PATIENCE, find_media, serve_media
from media_repo.serving import as_asked
from media_repo.thumbnails import serve_thumbnail
from media_repo.upload import checked_name
from storage.media import Media
from web.endpoint import MEDIA, Auth, endpoint
from web.reply import Json, Reply


@endpoint("GET", "/_matrix/client/v1/media/config", auth=Auth.USER, limit=MEDIA)
async def get_config_authed(call: ClientCall) -> Json:
    """How large a file may be, in bytes."""
    return {"m.upload.size": call.tenant.settings.media.max_upload}


@endpoint(
    "GET", "/_matrix/client/v1/media/download/{serverName}/{mediaId}", auth=Auth.USER, limit=MEDIA, guest=True
)
async def get_content_authed(call: ClientCall) -> Reply:
    """The file."""
    return as_asked(call, serve_media(call.tenant, await _asked_for(call)))


@endpoint(
    "GET",
    "/_matrix/client/v1/media/download/{serverName}/{mediaId}/{fileName}",
    auth=Auth.USER,
    limit=MEDIA,
    guest=True,
)
async def get_content_override_name_authed(call: ClientCall) -> Reply:
    """The file, under another name."""
    file = await _asked_for(call)
    return as_asked(call, serve_media(call.tenant, file, checked_name(call.path["fileName"])))


@endpoint(
    "GET",
    "/_matrix/client/v1/media/thumbnail/{serverName}/{mediaId}",
    auth=Auth.USER,
    limit=MEDIA,
    guest=True,
)
async def get_content_thumbnail_authed(call: ClientCall) -> Reply:
    """A smaller picture of the file."""
    asked = asked_thumbnail(call)
    file = await _asked_for(call)
    return as_asked(call, await serve_thumbnail(call.tenant, file, asked))


async def _asked_for(call: ClientCall) -> Media:
    call.query_flag("allow_redirect", False)  # nobody is redirected
    patience = call.query_duration("timeout_ms", DEFAULT_PATIENCE, MAX_PATIENCE)
    return await find_media(call.tenant, call.server_name(), call.path["mediaId"], patience)
