"""Smaller pictures, still or moving (by Pillow); runs in the child process."""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass
from typing import Any

from PIL import ExifTags, Image, ImageFile, ImageOps

from services.isolated.port import Refused

FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "AVIF")
MAX_FRAMES = 200
# What decoders raise at broken files.
BROKEN = (
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


@dataclass(frozen=True, slots=True)
class Asked:
    """The size, how to get to it, whether what moves may move, and how many pixels are decoded at most."""

    width: int
    height: int
    method: str
    animated: bool
    max_pixels: int


def thumbnail(told: dict[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
    """The picture scaled down (never up) as `Asked` says: its `content_type` and bytes; no bytes where the original will do.
    Raises Refused.
    """
    asked = Asked(**told)
    try:
        content_type, made = _thumbnail(asked, data)
    except BROKEN as error:
        raise Refused(f"{type(error).__name__}: {error}") from None
    return {"content_type": content_type}, made


def measure(told: dict[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
    """The `width`, `height` and `content_type` of a picture, as its header says; raises Refused for what is none."""
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            kind = Image.MIME[image.format or ""]
            return {"width": image.width, "height": image.height, "content_type": kind}, b""
    except BROKEN as error:
        raise Refused(f"{type(error).__name__}: {error}") from None


def _thumbnail(asked: Asked, data: bytes) -> tuple[str, bytes]:
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    with Image.open(io.BytesIO(data), formats=FORMATS) as image:
        if image.width * image.height > asked.max_pixels:
            raise Refused("too many pixels")
        frames = getattr(image, "n_frames", 1)
        if asked.animated and 1 < frames <= MAX_FRAMES and _affordable(image, frames, asked.max_pixels):
            if image.width <= asked.width and image.height <= asked.height:
                return "", b""
            return _moving(image, frames, asked)
        original = max(image.size), min(image.size)
        image.draft("RGB", (max(asked.width, asked.height),) * 2)
        upright, is_png = _upright(image), image.format == "PNG"
    fits = upright.width <= asked.width and upright.height <= asked.height
    # A still picture was asked for: what moves is never handed out as it is.
    if fits and frames == 1 and original == (max(upright.size), min(upright.size)):
        return "", b""
    return _encoded(_smaller(upright, asked), is_png)


def _affordable(image: Image.Image, frames: int, max_pixels: int) -> bool:
    return image.width * image.height * frames <= 4 * max_pixels


def _smaller(image: Image.Image, asked: Asked) -> Image.Image:
    if image.mode in ("P", "PA", "1"):  # else colours are not mixed
        image = image.convert("L" if image.mode == "1" else "RGBA")
    elif image.mode.startswith("I;"):
        image = image.convert("I").point(lambda value: value / 256).convert("L")
    if asked.method == "crop":
        size = (min(asked.width, image.width), min(asked.height, image.height))
        # Near the size first, by a cheap way: a large picture's whole is not needed.
        rough = max(size[0] / image.width, size[1] / image.height)
        image.thumbnail((round(image.width * rough) + 1, round(image.height * rough) + 1))
        return ImageOps.fit(image, (min(size[0], image.width), min(size[1], image.height)))
    image.thumbnail((asked.width, asked.height))
    return image


def _upright(image: Image.Image) -> Image.Image:
    """A copy, turned as the camera was."""
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation)
    except BROKEN:  # that the camera's notes are broken is no fault of the picture
        return image.copy()
    turn = None if orientation is None else _TURNS.get(orientation)
    return image.copy() if turn is None else image.transpose(turn)


def _moving(image: Image.Image, frames: int, asked: Asked) -> tuple[str, bytes]:
    """«Servers SHOULD prefer to return image/webp thumbnails when supporting animation.»"""
    pictures, durations = [], []
    for number in range(frames):
        image.seek(number)
        pictures.append(_smaller(image.convert("RGBA"), asked))
        durations.append(max(20, int(image.info.get("duration") or 100)))
    buffer = io.BytesIO()
    loop = int(image.info.get("loop") or 0)
    pictures[0].save(
        buffer, "WEBP", save_all=True, append_images=pictures[1:], duration=durations, loop=loop, quality=70, method=2
    )  # fmt: skip
    return "image/webp", buffer.getvalue()


def _encoded(image: Image.Image, is_png: bool) -> tuple[str, bytes]:
    """Drawings and screenshots stay sharp, and what is seen through stays so; all else is small."""
    buffer = io.BytesIO()
    if is_png or image.mode in ("RGBA", "LA", "P", "PA") or "transparency" in image.info:
        image.convert("RGBA").save(buffer, "PNG")
        return "image/png", buffer.getvalue()
    image.convert("RGB").save(buffer, "JPEG", quality=80)
    return "image/jpeg", buffer.getvalue()
