"""Files of other servers: fetched once however many ask, kept for a while, served from what is kept."""

from __future__ import annotations

import asyncio
from fnmatch import fnmatchcase
from functools import partial

from media_repo.checks.verdict import Verdict, judge
from media_repo.record import discard, recording, shrink_cache
from media_repo.upload import DEFAULT_TYPE, checked_name, checked_type
from protocol.ids import ServerName
from protocol.matrix_error import InvalidParam, MatrixError, NotFound, NotYetUploaded, TooLarge, Unknown
from services.media.judged import put_away
from services.ports import RemoteFailed, RemoteFile
from services.settings import MIB
from services.tenant import Tenant
from storage import remote_media
from storage.media import Media

_BAD_GATEWAY, _GATEWAY_TIMEOUT, _NOT_FOUND, _PAYLOAD_TOO_LARGE = 502, 504, 404, 413


async def find_remote(
    tenant: Tenant, origin: ServerName, media_id: str, patience: int, *, may_fetch: bool = True
) -> Media:
    """The file, which may have to be fetched first.

    Raises NotFound, TooLarge or Unknown (502) as it went with the other server, NotYetUploaded when it has not come
    within `patience` (milliseconds): then the fetching goes on, for who asks again.
    """
    if any(fnmatchcase(origin, pattern) for pattern in tenant.settings.media.blocked_servers):
        raise NotFound("Files of this server are not given out here")
    found = await _kept(tenant, origin, media_id)
    if found is not None:
        return found
    if not may_fetch:
        raise NotFound("The file is not here")
    if not tenant.remotes.reachable:
        raise NotFound("Media of other servers cannot be had here")
    try:
        async with asyncio.timeout(patience / 1000):
            fetch = partial(_fetch, tenant, origin, media_id)
            await tenant.fetching.ask((origin, media_id), fetch, tenant.clock.now(), lambda _: 0)
    except TimeoutError:
        raise NotYetUploaded("The file is still on its way from its server") from None
    except TooLarge as error:
        raise TooLarge(error.message, status=_BAD_GATEWAY) from None
    except RemoteFailed as failed:
        raise _told(failed) from failed
    found = await _kept(tenant, origin, media_id)
    if found is None:
        raise TooLarge("The file is too large to be kept here", status=_BAD_GATEWAY)
    return found


async def _kept(tenant: Tenant, origin: ServerName, media_id: str) -> Media | None:
    async with tenant.database.read() as tx:
        if await remote_media.is_quarantined(tx, origin, media_id):
            raise NotFound("There is no such file")
        kept = await remote_media.get(tx, origin, media_id)
    if kept is None or await tenant.blobs.size(kept.media.digest) is None:
        return None
    return kept.media


async def _fetch(tenant: Tenant, origin: ServerName, media_id: str) -> None:
    limit = tenant.settings.media.max_upload
    # A little more, so that it is we who notice that the file is too large.
    async with tenant.remotes.media(origin, media_id, limit + MIB) as file:
        digest, size = await tenant.blobs.write(file.chunks, limit)
    verdict = await _judged(tenant, origin, media_id, file, digest, size)
    described = Media(
        remote_media.kept_id(origin, media_id),
        "",
        tenant.clock.now(),
        size,
        verdict.content_type,
        _name_of(file),
        digest,
    )
    async with recording(tenant, digest) as tx:
        await remote_media.add(tx, origin, media_id, described)
    await shrink_cache(tenant)


async def _judged(
    tenant: Tenant, origin: ServerName, media_id: str, file: RemoteFile, digest: bytes, size: int
) -> Verdict:
    try:
        verdict = await judge(tenant, digest, size, _type_of(file), _name_of(file))
    except MatrixError:
        await discard(tenant, digest)
        raise
    if verdict.quarantined_by is not None:
        await put_away(tenant, origin, media_id, verdict.bad_bytes, verdict.quarantined_by)
    return verdict


def _type_of(file: RemoteFile) -> str:
    """The type that the other server declares; what cannot be one is not passed on."""
    try:
        return checked_type(file.content_type)
    except InvalidParam:
        return DEFAULT_TYPE


def _name_of(file: RemoteFile) -> str | None:
    try:
        return checked_name(file.file_name)
    except InvalidParam:
        return None


def _told(failed: RemoteFailed) -> Exception:
    """What our client hears of the other server's failure."""
    if failed.errcode == "M_NOT_YET_UPLOADED" or failed.status == _GATEWAY_TIMEOUT:
        return NotYetUploaded("The file is not there yet")
    if failed.errcode == "M_TOO_LARGE" or failed.status == _PAYLOAD_TOO_LARGE:
        return TooLarge("The file is too large to be fetched", status=_BAD_GATEWAY)
    if failed.status == _NOT_FOUND:
        return NotFound("There is no such file")
    return Unknown(f"The file cannot be had from {failed.server}", status=_BAD_GATEWAY)
