"""Downloading without a token, as before v1.11: frozen, unless `media.legacy_downloads` says otherwise.

«Servers SHOULD stop serving new media on the old endpoints.» (§Content repository, MSC3916)
"""

from __future__ import annotations

from typing import Any

from media_repo.asked_thumbnail import asked_thumbnail
from media_repo.download import DEFAULT_PATIENCE, MAX_PATIENCE, find_media, serve_media
from media_repo.serving import as_asked
from media_repo.thumbnails import serve_thumbnail
from media_repo.upload import checked_name
from protocol.matrix_error import NotFound
from services.settings import LegacyDownloads
from services.tenant import Tenant
from storage.media import Media
from web.call import Call
from web.endpoint import MEDIA, Auth, endpoint
from web.reply import Reply

AnybodysCall = Call[Tenant, Any]
_FILE = "download/{serverName}/{mediaId}"
_THUMBNAIL = "thumbnail/{serverName}/{mediaId}"


def _older(path: str) -> tuple[str, str]:
    return f"/_matrix/media/r0/{path}", f"/_matrix/media/v1/{path}"


@endpoint("GET", f"/_matrix/media/v3/{_FILE}", auth=Auth.NONE, limit=MEDIA, also=_older(_FILE))
async def get_content(call: AnybodysCall) -> Reply:
    """The file."""
    return as_asked(call, serve_media(call.tenant, await _asked_for(call)))


@endpoint(
    "GET",
    f"/_matrix/media/v3/{_FILE}/{{fileName}}",
    auth=Auth.NONE,
    limit=MEDIA,
    also=_older(f"{_FILE}/{{fileName}}"),
)
async def get_content_override_name(call: AnybodysCall) -> Reply:
    """The file, under another name."""
    file = await _asked_for(call)
    return as_asked(call, serve_media(call.tenant, file, checked_name(call.path["fileName"])))


@endpoint("GET", f"/_matrix/media/v3/{_THUMBNAIL}", auth=Auth.NONE, limit=MEDIA, also=_older(_THUMBNAIL))
async def get_content_thumbnail(call: AnybodysCall) -> Reply:
    """A smaller picture of the file."""
    asked = asked_thumbnail(call)
    file = await _asked_for(call)
    return as_asked(call, await serve_thumbnail(call.tenant, file, asked))


async def _asked_for(call: AnybodysCall) -> Media:
    settings = call.tenant.settings.media
    is_open = settings.legacy_downloads is LegacyDownloads.OPEN
    patience = call.query_duration("timeout_ms", DEFAULT_PATIENCE, MAX_PATIENCE)
    may_fetch = call.query_flag("allow_remote", True) and is_open
    call.query_flag("allow_redirect", False)  # nobody is redirected
    if settings.legacy_downloads is LegacyDownloads.OFF:
        raise NotFound("Files are given to those who are logged in")
    server, media_id = call.server_name(), call.path["mediaId"]
    file = await find_media(call.tenant, server, media_id, patience if is_open else 0, may_fetch=may_fetch)
    if not is_open and file.created >= (settings.frozen_from or 0):
        raise NotFound("Files of this age are given to those who are logged in")
    return file
