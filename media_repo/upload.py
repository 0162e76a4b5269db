"""Taking in a file."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

from media_repo.record import recording
from protocol.ids import UserID
from protocol.matrix_error import InvalidParam
from services.tenant import Tenant
from storage import media
from storage.media import Media

DEFAULT_TYPE = "application/octet-stream"
_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+(\s*;\s*[\w.+-]+=([\w.+-]+|\"[^\"\x00-\x1f]*\"))*", re.ASCII)
_ID_LENGTH = 24
_MAX_NAME = 255


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


async def take_upload(
    tenant: Tenant, owner: UserID, chunks: AsyncIterator[bytes], content_type: str, file_name: str | None
) -> str:
    """The `mxc://` URI of the file, once its bytes are on disk. Raises TooLarge."""
    digest, size = await tenant.blobs.write(chunks, tenant.settings.media.max_upload)
    media_id = tenant.random.token(_ID_LENGTH)
    file = Media(media_id, owner, tenant.clock.now(), size, content_type, file_name, digest)
    async with recording(tenant, digest) as tx:
        await media.add(tx, file)
    return f"mxc://{tenant.name}/{media_id}"
