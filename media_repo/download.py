"""Handing out a file so that no browser ever runs it."""

from __future__ import annotations

import re
from urllib.parse import quote

from protocol.ids import ServerName
from protocol.matrix_error import InvalidParam, NotFound
from services.tenant import Tenant
from storage import media
from storage.media import Media
from web.reply import Reply

# §Serving inline content: what browsers show and do not run.
INLINE = frozenset(
    (
        "text/css text/plain text/csv application/json application/ld+json image/jpeg image/gif image/png image/apng "
        "image/webp image/avif video/mp4 video/webm video/ogg video/quicktime audio/mp4 audio/webm audio/aac "
        "audio/mpeg audio/ogg audio/wave audio/wav audio/x-wav audio/x-pn-wav audio/flac audio/x-flac"
    ).split()
)
_SANDBOX = (
    "sandbox; default-src 'none'; script-src 'none'; plugin-types application/pdf; "
    "style-src 'unsafe-inline'; object-src 'self';"
)
HEADERS = {
    "Content-Security-Policy": _SANDBOX,
    "Cross-Origin-Resource-Policy": "cross-origin",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "private, max-age=86400, immutable",
}
_MEDIA_ID = re.compile(r"[A-Za-z0-9_-]{1,255}")


async def find_media(tenant: Tenant, server_name: ServerName, media_id: str) -> Media:
    """The file. Raises NotFound; for another server's file too, while this server does not ask others for media."""
    if not _MEDIA_ID.fullmatch(media_id):
        raise InvalidParam("This is not a media ID")
    if server_name != tenant.name:
        raise NotFound("Media of other servers cannot be had here")
    async with tenant.database.read() as tx:
        found = await media.get(tx, media_id)
    if found is None or await tenant.blobs.size(found.digest) is None:
        raise NotFound("There is no such file")
    return found


def serve_media(tenant: Tenant, file: Media, file_name: str | None = None) -> Reply:
    """The file's bytes, to be shown or saved under `file_name` (its own name, if that is None)."""
    headers = HEADERS | {"Content-Disposition": disposition(file.content_type, file_name or file.file_name)}
    return Reply(200, tenant.blobs.read(file.digest), headers, _safe_type(file.content_type), file.size)


def disposition(content_type: str, file_name: str | None) -> str:
    """The Content-Disposition header: inline for the safe types only (RFC 6266, RFC 8187)."""
    kind = "inline" if content_type.partition(";")[0].strip().lower() in INLINE else "attachment"
    if file_name is None:
        return kind
    if file_name.isascii() and not re.search(r'[\x00-\x1f\x7f"\\]', file_name):
        return f'{kind}; filename="{file_name}"'
    return f"{kind}; filename*=utf-8''{quote(file_name, safe='')}"


def _safe_type(content_type: str) -> str:
    """Text without a declared character set is UTF-8: else browsers guess."""
    if content_type.startswith("text/") and "charset" not in content_type.lower():
        return f"{content_type}; charset=utf-8"
    return content_type
