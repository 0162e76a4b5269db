"""Handing out a file so that no browser ever runs it."""

from __future__ import annotations

import re
from urllib.parse import quote

from media_repo.remote import find_remote
from media_repo.serving import blob_reply
from protocol.ids import ServerName
from protocol.matrix_error import InvalidParam, NotFound, NotYetUploaded
from services.media.arrivals import wait_until_filled
from services.settings import MINUTE, SECOND
from services.tenant import Tenant
from storage import media
from storage.media import Media
from web.reply import Reply

# §Serving inline content: what browsers show and do not run.
_INLINE_KINDS = {
    "text": ("css", "plain", "csv"),
    "application": ("json", "ld+json"),
    "image": ("jpeg", "gif", "png", "apng", "webp", "avif"),
    "video": ("mp4", "webm", "ogg", "quicktime"),
    "audio": ("mp4", "webm", "aac", "mpeg", "ogg", "wave", "wav", "x-wav", "x-pn-wav", "flac", "x-flac"),
}
INLINE = frozenset(f"{kind}/{subtype}" for kind, subtypes in _INLINE_KINDS.items() for subtype in subtypes)
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
DEFAULT_PATIENCE = 20 * SECOND
MAX_PATIENCE = MINUTE
_MEDIA_ID = re.compile(r"[A-Za-z0-9_-]{1,255}")


async def find_media(
    tenant: Tenant,
    server_name: ServerName,
    media_id: str,
    patience: int = DEFAULT_PATIENCE,
    *,
    may_fetch: bool = True,
) -> Media:
    """The file, of whatever server; see `find_local` and `find_remote` for what is raised."""
    if server_name == tenant.name:
        return await find_local(tenant, media_id, patience)
    return await find_remote(tenant, server_name, checked_id(media_id), patience, may_fetch=may_fetch)


async def find_local(tenant: Tenant, media_id: str, patience: int = DEFAULT_PATIENCE) -> Media:
    """A file that was uploaded here; raises NotFound, InvalidParam for what is no media ID, and NotYetUploaded when one that was
    announced has not come within `patience` (milliseconds).
    """
    checked_id(media_id)
    async with tenant.database.read() as tx:
        found = await media.get(tx, tenant.name, media_id)
        slot = await media.slot(tx, media_id) if found is None else None
    if slot is not None and not slot.is_filled and (slot.expires or 0) > tenant.clock.now():
        if not await wait_until_filled(tenant, media_id, patience):
            raise NotYetUploaded("The file has not been uploaded yet")
        async with tenant.database.read() as tx:
            found = await media.get(tx, tenant.name, media_id)
    if found is None or await tenant.blobs.size(found.digest) is None:
        raise NotFound("There is no such file")
    return found


def checked_id(media_id: str) -> str:
    """The media ID itself; raises InvalidParam for what is none."""
    if not _MEDIA_ID.fullmatch(media_id):
        raise InvalidParam("This is not a media ID")
    return media_id


def serve_media(tenant: Tenant, file: Media, file_name: str | None = None) -> Reply:
    """The file's bytes, to be shown or saved under `file_name` (its own name, if that is None)."""
    tenant.downloads.count(file.media_id, tenant.clock.now())
    headers = HEADERS | {"Content-Disposition": disposition(file.content_type, file_name or file.file_name)}
    return blob_reply(tenant, file.digest, file.size, _safe_type(file.content_type), headers)


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
