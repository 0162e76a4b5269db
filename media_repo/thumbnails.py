"""Smaller pictures: which size answers a request; made by another process, once however many ask, when first asked for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial

from media_repo.asked_thumbnail import AskedThumbnail
from media_repo.download import HEADERS, disposition, serve_media
from media_repo.record import recording
from media_repo.serving import blob_reply
from protocol.matrix_error import TooLarge, Unknown
from services.isolated.port import Broken, Refused
from services.settings import MIB
from services.tenant import Tenant
from storage import media
from storage.media import Media, Thumbnail
from web.reply import Reply

# §Thumbnails: the sizes that a server makes; a request gets the next larger one.
SIZES = ((32, 32, "crop"), (96, 96, "crop"), (320, 240, "scale"), (640, 480, "scale"), (800, 600, "scale"))
SOURCES = ("image/jpeg", "image/jpg", "image/png", "image/apng", "image/gif", "image/webp", "image/avif")
MOVING = ("image/png", "image/apng", "image/gif", "image/webp", "image/avif")
STEP = 64
"""Of any size that is asked for, so many pixels' multiples are made: else whoever asks could fill the disk."""
_MAX_SOURCE = 32 * MIB
_BAD_GATEWAY = 502


def size_for(asked: AskedThumbnail, largest_dynamic: int | None = None) -> AskedThumbnail:
    """The smallest of the server's sizes that covers the request, else the largest; `largest_dynamic` is up to which side others
    are made too.
    """
    width, height, method = asked.width, asked.height, asked.method
    if largest_dynamic is not None and max(width, height) <= largest_dynamic:
        if (width, height, method) in SIZES:
            return asked
        return replace(asked, width=-(-width // STEP) * STEP, height=-(-height // STEP) * STEP)
    fitting = [size for size in SIZES if size[2] == method and size[0] >= width and size[1] >= height]
    others = [size for size in SIZES if size[0] >= width and size[1] >= height]
    width, height, method = (fitting or others or [SIZES[-1]])[0]
    return AskedThumbnail(width, height, method, asked.animated)


async def serve_thumbnail(tenant: Tenant, file: Media, asked: AskedThumbnail) -> Reply:
    """A stored thumbnail, or one made now; the original where it is small enough already. Raises Unknown (400) for no picture,
    and TooLarge.
    """
    wanted = size_for(asked, tenant.settings.media.thumbnails.largest_dynamic)
    if file.content_type.partition(";")[0].strip().lower() not in MOVING:
        wanted = replace(wanted, animated=False)
    found = await _stored(tenant, file, wanted)
    if found is None:
        key = (file.digest.hex() + file.media_id, wanted.width, wanted.height, wanted.method, wanted.animated)
        make = partial(_make, tenant, file, wanted)
        is_made = await tenant.thumbnails.ask(key, make, tenant.clock.now(), lambda _: 0)
        found = await _stored(tenant, file, wanted) if is_made else None
    if found is None:
        return serve_media(tenant, file)
    name = f"thumbnail.{found.content_type.partition('/')[2]}"
    headers = HEADERS | {"Content-Disposition": disposition(found.content_type, name)}
    tenant.downloads.count(file.media_id, tenant.clock.now())
    return blob_reply(tenant, found.digest, found.size, found.content_type, headers)


async def _stored(tenant: Tenant, file: Media, wanted: AskedThumbnail) -> Thumbnail | None:
    async with tenant.database.read() as tx:
        stored = await media.thumbnails(tx, file.media_id)
    for one in stored:
        if AskedThumbnail(one.width, one.height, one.method, one.animated) == wanted:
            return one if await tenant.blobs.size(one.digest) is not None else None
    return None


async def _make(tenant: Tenant, file: Media, wanted: AskedThumbnail) -> bool:
    """Whether there is one now; False where the original will do."""
    if file.content_type.partition(";")[0].strip().lower() not in SOURCES:
        raise Unknown("There is no thumbnail of such a file")
    if file.size > _MAX_SOURCE:
        is_ours = bool(file.user_id)
        raise TooLarge("The file is too large to be shown smaller", status=413 if is_ours else _BAD_GATEWAY)
    data = b"".join([chunk async for chunk in tenant.blobs.read(file.digest)])
    told = {
        "width": wanted.width,
        "height": wanted.height,
        "method": wanted.method,
        "animated": wanted.animated,
        "max_pixels": tenant.settings.media.max_pixels,
    }
    try:
        said, made = await tenant.isolated.run("thumbnail", told, data)
    except (Refused, Broken) as error:
        raise Unknown(f"The file cannot be shown as a picture: {error}") from None
    if not made:
        return False
    digest, size = await tenant.blobs.write(_once(made), _MAX_SOURCE)
    thumbnail = Thumbnail(
        wanted.width, wanted.height, wanted.method, wanted.animated, str(said["content_type"]), size, digest
    )
    async with recording(tenant, digest) as tx:
        await media.add_thumbnail(tx, file.media_id, thumbnail)
    return True


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data
