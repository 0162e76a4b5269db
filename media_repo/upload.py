"""Taking in a file."""

from __future__ import annotations

import re
from collections.abc import AsyncIterable
from dataclasses import dataclass

from media_repo.checks.verdict import judge
from media_repo.record import discard, recording
from protocol.ids import UserID
from protocol.matrix_error import (
    CannotOverwriteMedia,
    Forbidden,
    InvalidParam,
    LimitExceeded,
    MatrixError,
    NotFound,
    TooLarge,
)
from services.media.arrivals import tell_arrived
from services.media.judged import put_away
from services.media.quota import check_quota
from services.tenant import Tenant
from storage import media
from storage.media import Media

DEFAULT_TYPE = "application/octet-stream"
_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+(\s*;\s*[\w.+-]+=([\w.+-]+|\"[^\"\x00-\x1f]*\"))*", re.ASCII)
_ID_LENGTH = 24
_MAX_NAME = 255


@dataclass(frozen=True, slots=True)
class Coming:
    """A file that a client sends, and what it says of it; `announced` is how large it says it is, 0 if it does not."""

    chunks: AsyncIterable[bytes]
    content_type: str
    file_name: str | None
    announced: int


def checked_type(content_type: str | None) -> str:
    """The declared type; raises InvalidParam for what would not be a header."""
    if not content_type:
        return DEFAULT_TYPE
    if len(content_type) > _MAX_NAME or not _TYPE.fullmatch(content_type):
        raise InvalidParam("This is not a content type")
    return content_type


def checked_name(file_name: str | None) -> str | None:
    """The file's name without what a header or a file system would stumble over; raises InvalidParam when it is too long."""
    if file_name is None:
        return None
    if len(file_name.encode()) > _MAX_NAME:
        raise InvalidParam(f"A file name may have at most {_MAX_NAME} bytes")
    return re.sub(r"[\x00-\x1f\x7f/\\]", "_", file_name) or None


async def take_upload(tenant: Tenant, owner: UserID, coming: Coming) -> str:
    """The `mxc://` URI of the file, once its bytes are on disk. Raises TooLarge, Unknown (507) when the disk is full, and what
    `check_quota` raises.
    """
    await check_quota(tenant, owner, coming.announced)
    file = await _written(tenant, owner, tenant.random.token(_ID_LENGTH), coming)
    async with recording(tenant, file.digest) as tx:
        await media.add(tx, file)
    return uri_of(tenant, file.media_id)


async def create_slot(tenant: Tenant, owner: UserID) -> tuple[str, int]:
    """The `mxc://` URI of a file that is still to come, and until when it may; raises LimitExceeded for too many of them."""
    now, settings = tenant.clock.now(), tenant.settings.media
    await check_quota(tenant, owner, 0)
    media_id, expires = tenant.random.token(_ID_LENGTH), now + settings.pending_lifetime
    async with tenant.database.transaction() as tx:
        pending, first = await media.pending(tx, owner, now)
        if pending >= settings.max_pending:
            raise LimitExceeded(max(first - now, 1), "Upload what you have announced first")
        await media.create(tx, media_id, owner, now, expires)
    return uri_of(tenant, media_id), expires


async def fill_slot(tenant: Tenant, owner: UserID, media_id: str, coming: Coming) -> None:
    """The file of a media ID that was given out before. Raises NotFound for one that was not, or is not good any more; Forbidden
    for somebody else's, CannotOverwriteMedia when the file is there already; and what `take_upload` raises.
    """
    async with tenant.database.read() as tx:
        slot = await media.slot(tx, media_id)
    if slot is None or (not slot.is_filled and (slot.expires or 0) <= tenant.clock.now()):
        raise NotFound("This media ID was not given out, or not used in time")
    if slot.user_id != owner:
        raise Forbidden("This media ID was given to somebody else")
    if slot.is_filled:
        raise CannotOverwriteMedia
    await check_quota(tenant, owner, coming.announced)
    file = await _written(tenant, owner, media_id, coming)
    async with recording(tenant, file.digest) as tx:
        is_first = await media.fill(tx, file)
    if not is_first:
        await discard(tenant, file.digest)
        raise CannotOverwriteMedia
    await tell_arrived(tenant, media_id)


def uri_of(tenant: Tenant, media_id: str) -> str:
    """How events name a file of ours."""
    return f"mxc://{tenant.name}/{media_id}"


async def _written(tenant: Tenant, owner: UserID, media_id: str, coming: Coming) -> Media:
    """The file, its bytes kept and its row not yet."""
    limit = tenant.settings.media.max_upload
    if coming.announced > limit:
        raise TooLarge(f"A file may have at most {limit} bytes")
    digest, size = await tenant.blobs.write(coming.chunks, limit)
    try:
        if size > coming.announced:
            await check_quota(tenant, owner, size)
        verdict = await judge(tenant, digest, size, coming.content_type, coming.file_name)
    except MatrixError:
        await discard(tenant, digest)
        raise
    now = tenant.clock.now()
    if verdict.quarantined_by is not None:
        await put_away(tenant, tenant.name, media_id, verdict.bad_bytes, verdict.quarantined_by)
    return Media(media_id, owner, now, size, verdict.content_type, coming.file_name, digest)
