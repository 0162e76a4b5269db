"""Previews of URLs: asked for once however many see the link, kept for a while, their pictures stored as files of ours."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import orjson

from media_repo.checks.verdict import judge
from media_repo.record import recording, shrink_cache
from protocol.matrix_error import MatrixError
from services.media.scanner import ScannerFailed
from services.previews.addresses import checked_url
from services.previews.keeping import keep, kept
from services.previews.ports import PageFailed
from services.previews.reading import Picture, Read, read_url
from services.settings import MINUTE
from services.tenant import Tenant
from storage import media
from storage.media import NOBODY, Media

_ID_LENGTH = 24


async def preview_of(tenant: Tenant, url: str, at: int | None, languages: str) -> bytes:
    """The preview as JSON, as it was at a time (None: now). Raises InvalidParam, Forbidden or PageFailed; empty where previews
    are switched off.
    """
    if not tenant.settings.media.previews.enabled:
        return b"{}"
    url = checked_url(url, tenant.settings.media.previews)
    found = await kept(tenant, url, languages, at)
    if found is not None:
        return found
    fetch = partial(_fetch, tenant, url, languages)
    said = await tenant.previews.ask((url, languages), fetch, tenant.clock.now(), _how_long)
    if isinstance(said, PageFailed):
        raise PageFailed(said.args[0])
    return said


def _how_long(said: bytes | PageFailed) -> int:
    """Sites that fail are left in peace for a minute; what was said stands in the database."""
    return MINUTE if isinstance(said, PageFailed) else 0


async def _fetch(tenant: Tenant, url: str, languages: str) -> bytes | PageFailed:
    try:
        read = await read_url(tenant, url, languages)
    except PageFailed as failed:
        return failed
    media_id = None if read.picture is None else await _stored(tenant, read.picture)
    preview = orjson.dumps(_open_graph(tenant, read, media_id))
    await keep(tenant, url, languages, preview, media_id)
    return preview


async def _stored(tenant: Tenant, picture: Picture) -> str | None:
    """The media ID of the picture, None when the checks do not let it in, or the cache is smaller than it is."""
    if len(picture.data) > tenant.settings.media.remote_cache:
        return None
    digest, size = await tenant.blobs.write(_once(picture.data), len(picture.data))
    try:
        verdict = await judge(tenant, digest, size, picture.content_type, None)
    except (MatrixError, ScannerFailed):
        return None
    if verdict.content_type != picture.content_type or verdict.quarantined_by is not None:
        return None
    media_id = tenant.random.token(_ID_LENGTH)
    file = Media(media_id, NOBODY, tenant.clock.now(), size, picture.content_type, None, digest)
    async with recording(tenant, digest) as tx:
        await media.add(tx, file)
    await shrink_cache(tenant)
    return media_id


def _open_graph(tenant: Tenant, read: Read, media_id: str | None) -> dict[str, Any]:
    preview: dict[str, Any] = dict(read.properties)
    if read.picture is not None and media_id is not None:
        preview |= {
            "og:image": f"mxc://{tenant.name}/{media_id}",
            "og:image:type": read.picture.content_type,
            "og:image:width": read.picture.width,
            "og:image:height": read.picture.height,
            "matrix:image:size": len(read.picture.data),
        }
    return preview


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data
