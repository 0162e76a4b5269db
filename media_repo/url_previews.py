"""Previews of URLs (§Content repository), by both of their paths."""

from __future__ import annotations

import re

import orjson

from media_repo import ClientCall
from media_repo.preview import preview_of
from protocol.ids import parse_room_id
from services.previews.switches import is_wanted_in
from web.endpoint import MEDIA, Auth, endpoint
from web.reply import Reply

_LANGUAGES = re.compile(r"[\w,;=.*\- ]{1,100}", re.ASCII)
_LATEST = 1 << 53


@endpoint("GET", "/_matrix/client/v1/media/preview_url", auth=Auth.USER, limit=MEDIA)
async def get_url_preview_authed(call: ClientCall) -> Reply:
    """What the page tells of itself."""
    return await _preview(call)


@endpoint(
    "GET",
    "/_matrix/media/v3/preview_url",
    auth=Auth.USER,
    limit=MEDIA,
    also=("/_matrix/media/r0/preview_url", "/_matrix/media/v1/preview_url"),
)
async def get_url_preview(call: ClientCall) -> Reply:
    """The same, at its path from before v1.11."""
    return await _preview(call)


async def _preview(call: ClientCall) -> Reply:
    url, room = (
        call.query_text("url"),
        call.query_text("room_id", None),
    )  # the room is not in the specification
    if room is not None and not await is_wanted_in(call.tenant, call.requester, parse_room_id(room)):
        return Reply(200, {})
    at = call.query_integer("ts", -1, 0, _LATEST)
    spoken = call.headers.get("Accept-Language", "")
    languages = spoken if _LANGUAGES.fullmatch(spoken) else call.tenant.settings.media.previews.languages
    said = await preview_of(call.tenant, url, None if at < 0 else at, languages)
    return Reply(200, orjson.loads(said))
