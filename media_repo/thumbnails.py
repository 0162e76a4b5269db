"""Smaller pictures: which size answers a request, and making it out of the event loop."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

from PIL import ExifTags, Image, ImageOps

from media_repo.download import HEADERS, disposition, serve_media
from media_repo.record import recording
from media_repo.serving import blob_reply
from protocol.matrix_error import Unknown
from services.tenant import Tenant
from storage import media
from storage.media import Media, Thumbnail
from web.reply import Reply

# §Thumbnails: the sizes that a server makes; a request gets the next larger one.
SIZES = ((32, 32, "crop"), (96, 96, "crop"), (320, 240, "scale"), (640, 480, "scale"), (800, 600, "scale"))
SOURCES = ("image/jpeg", "image/png", "image/gif", "image/webp", "image/avif")
_FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "AVIF")
_MAX_SOURCE = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Picture:
    """A thumbnail's bytes, or None when the original is no larger."""

    data: bytes | None
    content_type: str


# What decoders raise at broken files.
_BROKEN = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""By the EXIF tag Orientation."""


class NotAPicture(Exception):
    """The bytes are no picture that can be shown, or one too large to decode safely."""


def size_for(width: int, height: int, method: str) -> tuple[int, int, str]:
    """The smallest of the server's sizes that covers the request, else the largest."""
    fitting = [size for size in SIZES if size[2] == method and size[0] >= width and size[1] >= height]
    others = [size for size in SIZES if size[0] >= width and size[1] >= height]
    return (fitting or others or [SIZES[-1]])[0]


def make_thumbnail(data: bytes, width: int, height: int, method: str, max_pixels: int) -> Picture:
    """The picture scaled down (never up); a pure function, for `Compute`. Raises NotAPicture."""
    try:
        return _make_thumbnail(data, width, height, method, max_pixels)
    except _BROKEN as error:
        raise NotAPicture(str(error)) from None


def _make_thumbnail(data: bytes, width: int, height: int, method: str, max_pixels: int) -> Picture:
    with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
        if image.width * image.height > max_pixels:
            raise NotAPicture("too many pixels")
        original = max(image.size), min(image.size)
        image.draft("RGB", (max(width, height),) * 2)
        upright, is_png = _upright(image), image.format == "PNG"
    if (
        original == (max(upright.size), min(upright.size))
        and upright.width <= width
        and upright.height <= height
    ):
        return Picture(None, "")
    if method == "crop":
        small = ImageOps.fit(upright, (min(width, upright.width), min(height, upright.height)))
    else:
        small = upright
        small.thumbnail((width, height))
    return _encoded(small, is_png)


def _upright(image: Image.Image) -> Image.Image:
    """A copy, turned as the camera was."""
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation)
    except _BROKEN:  # that the camera's notes are broken is no fault of the picture
        return image.copy()
    turn = None if orientation is None else _TURNS.get(orientation)
    return image.copy() if turn is None else image.transpose(turn)


def _encoded(image: Image.Image, is_png: bool) -> Picture:
    """Drawings and screenshots stay sharp, and what is seen through stays so; all else is small."""
    buffer = io.BytesIO()
    if is_png or image.mode in ("RGBA", "LA", "P", "PA") or "transparency" in image.info:
        image.convert("RGBA").save(buffer, "PNG")
        return Picture(buffer.getvalue(), "image/png")
    image.convert("RGB").save(buffer, "JPEG", quality=80)
    return Picture(buffer.getvalue(), "image/jpeg")


async def serve_thumbnail(tenant: Tenant, file: Media, width: int, height: int, method: str) -> Reply:
    """A stored thumbnail, or one made now; the original where it is small enough already. Raises Unknown (400) for no picture."""
    width, height, method = size_for(width, height, method)
    async with tenant.database.read() as tx:
        stored = await media.thumbnails(tx, file.media_id)
    found = next((t for t in stored if (t.width, t.height, t.method) == (width, height, method)), None)
    if found is None:
        found = await _make(tenant, file, width, height, method)
    if found is None:
        return serve_media(tenant, file)
    headers = HEADERS | {"Content-Disposition": disposition(found.content_type, "thumbnail")}
    tenant.downloads.count(file.media_id, tenant.clock.now())
    return blob_reply(tenant, found.digest, found.size, found.content_type, headers)


async def _make(tenant: Tenant, file: Media, width: int, height: int, method: str) -> Thumbnail | None:
    if file.content_type not in SOURCES or file.size > _MAX_SOURCE:
        raise Unknown("There is no thumbnail of such a file")
    data = b"".join([chunk async for chunk in tenant.blobs.read(file.digest)])
    try:
        limit = tenant.settings.media.max_pixels
        picture = await tenant.compute.run(make_thumbnail, data, width, height, method, limit)
    except NotAPicture as error:
        raise Unknown(f"The file cannot be shown as a picture: {error}") from None
    if picture.data is None:
        return None
    digest, size = await tenant.blobs.write(_once(picture.data), _MAX_SOURCE)
    thumbnail = Thumbnail(width, height, method, False, picture.content_type, size, digest)
    async with recording(tenant, digest) as tx:
        await media.add_thumbnail(tx, file.media_id, thumbnail)
    return thumbnail


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data
