"""What a file is by its bytes, and whether that contradicts what it says it is.

The beginning and the end are looked at: what is hidden in the middle of a large file is not seen.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass
from typing import ClassVar, Final

from media_repo.checks.archives import archive_kind

EXECUTABLE: Final = "application/x-executable"
_PROGRAMS: Final = (
    b"MZ", b"\x7fELF", b"\xfe\xed\xfa\xce", b"\xfe\xed\xfa\xcf", b"\xce\xfa\xed\xfe", b"\xcf\xfa\xed\xfe", b"#!/",
    b"\xca\xfe\xba\xbe", b"dex\n", b"\0asm",
)  # fmt: skip
_MARKUP: Final = re.compile(
    rb"<\s*(script|html|iframe|body|object|embed|!doctype\s+html)\b|javascript:|<\?php", re.IGNORECASE
)
_SVG: Final = re.compile(rb"<\s*([\w-]+:)?svg[\s>]", re.IGNORECASE)
_ACTIVE_SVG: Final = re.compile(
    rb"<\s*([\w-]+:)?(script|foreignobject|iframe|embed|object|handler)\b|\son\w+\s*=|javascript:|<!entity|data:text/html",
    re.IGNORECASE,
)
_ACTIVE_PDF: Final = re.compile(rb"/(JavaScript|JS|Launch|OpenAction\s*<<|EmbeddedFile|RichMedia)\b")
_CONTAINERS: Final = {
    "iso media": ("video/mp4", "audio/mp4", "audio/x-m4a", "audio/m4a", "video/quicktime", "video/3gpp", "audio/3gpp",
                  "video/x-m4v", "audio/aac", "image/heic", "image/heif", "video/3gpp2"),
    "ogg": ("audio/ogg", "video/ogg", "application/ogg", "audio/opus", "audio/x-opus+ogg", "audio/vorbis"),
    "matroska": ("video/webm", "audio/webm", "video/x-matroska", "audio/x-matroska", "video/matroska"),
    "mpeg audio": ("audio/mpeg", "audio/mp3", "audio/aac", "audio/aacp", "audio/x-aac", "audio/mpeg3"),
    "wave": ("audio/wav", "audio/wave", "audio/x-wav", "audio/x-pn-wav", "audio/vnd.wave"),
    "flac": ("audio/flac", "audio/x-flac"),
}  # fmt: skip
_ALIASES: Final = {
    "image/jpg": "image/jpeg",
    "image/pjpeg": "image/jpeg",
    "image/apng": "image/png",
    "image/vnd.mozilla.apng": "image/png",
    "image/x-ms-bmp": "image/bmp",
    "application/x-pdf": "application/pdf",
    "application/x-zip-compressed": "application/zip",
    "application/x-gzip": "application/gzip",
}
_PICTURES: Final = (
    "image/jpeg",
    "image/png",
    "image/gif",
    "image/webp",
    "image/avif",
    "image/bmp",
    "image/tiff",
)
# These begin so, or they are none.
_SURE: Final = (
    *_PICTURES,
    "application/pdf",
    "application/zip",
    "application/gzip",
    *sum(_CONTAINERS.values(), ()),
)
_OFFICE: Final = re.compile(
    r"application/(vnd\.(openxmlformats-officedocument|oasis\.opendocument)\..+|epub\+zip|java-archive|"
    r"vnd\.android\.package-archive)"
)
_NOISE: Final = 7.2  # bits of entropy a byte


@dataclass(frozen=True, slots=True)
class Ends:
    """The beginning and the end of a file; they overlap in small ones."""

    HEAD: ClassVar[int] = 256 * 1024
    TAIL: ClassVar[int] = 256 * 1024

    head: bytes
    tail: bytes
    size: int


def kind_of(ends: Ends) -> str | None:
    """The type that the bytes are, or the name of the container that they are in; None for what is not known."""
    head = ends.head
    if head.startswith(_PROGRAMS):
        return EXECUTABLE
    if head.startswith((b"PK\3\4", b"PK\5\6")):
        return archive_kind(head, ends.tail)
    container = _container(head)
    if container is not None:
        return container
    if head.startswith(b"%PDF-"):
        return "application/pdf"
    begun = head[:4096].removeprefix(b"\xef\xbb\xbf").lstrip()
    if begun.startswith(b"<") and _SVG.search(begun):
        return "image/svg+xml"
    if begun.startswith(b"<") and _MARKUP.match(begun):
        return "text/html"
    return _by_library(head)


def contradiction(declared: str, found: str | None, ends: Ends) -> str | None:
    """In what the bytes contradict the declared type, or what else hides in them; None where all is well."""
    declared = _ALIASES.get(declared, declared)
    if ends.size == 0:
        return None
    if found == EXECUTABLE and declared.partition("/")[0] != "application":
        return "it is a program"
    if declared == "image/svg+xml":
        return _of_svg(found, ends)
    if _OFFICE.fullmatch(declared) and found != declared and not _is_family(declared, found):
        return f"it is no {declared}"
    if declared in _SURE and not _agrees(declared, found):
        return f"it is no {declared}"
    if declared.startswith("text/") and (found or "").partition("/")[0] not in ("", "text", "image/svg+xml"):
        return f"it is {found}, not text"
    return _stowaway(declared, ends)


def is_encrypted(ends: Ends) -> bool:
    """Whether the bytes look like noise, as what was encrypted does."""
    sample = ends.head[: 64 * 1024]
    if len(sample) < 256:
        return False
    counts = Counter(sample)
    entropy = -sum(n / len(sample) * math.log2(n / len(sample)) for n in counts.values())
    return entropy > _NOISE


def _stowaway(declared: str, ends: Ends) -> str | None:
    """A second file in the first, for other eyes than those it is shown to."""
    if declared == "application/pdf":
        active = _ACTIVE_PDF.search(ends.head) or _ACTIVE_PDF.search(ends.tail)
        return "it has a program in it" if active else None
    if declared.partition("/")[0] not in ("image", "audio", "video"):
        return None
    if b"PK\5\6" in ends.tail[-66_000:]:
        return "there is an archive at its end"
    if b"%PDF-" in ends.head[:1024]:
        return "it is a PDF too"
    if _MARKUP.search(ends.head) or _MARKUP.search(ends.tail):
        return "there is a page in it"
    return None


def _of_svg(found: str | None, ends: Ends) -> str | None:
    if found != "image/svg+xml":
        return "it is no SVG"
    text = (ends.head + ends.tail).replace(b"\0", b"")  # UTF-16 too
    return "it has a program in it" if _ACTIVE_SVG.search(text) else None


def _agrees(declared: str, found: str | None) -> bool:
    if found is None:
        return False
    if found in _CONTAINERS:
        return declared in _CONTAINERS[found]
    if declared == "application/zip":
        return found.startswith("application/") and found not in (EXECUTABLE, "application/pdf")
    return _ALIASES.get(found, found) == declared


def _is_family(declared: str, found: str | None) -> bool:
    """Macros and templates: of one family of Office files."""
    families = ("wordprocessingml", "spreadsheetml", "presentationml", "opendocument")
    return found is not None and any(name in declared and name in found for name in families)


def _container(head: bytes) -> str | None:
    if head[4:8] == b"ftyp":
        return "image/avif" if head[8:12] in (b"avif", b"avis") else "iso media"
    if head.startswith(b"OggS"):
        return "ogg"
    if head.startswith(b"\x1aE\xdf\xa3"):
        return "matroska"
    if head.startswith(b"fLaC"):
        return "flac"
    if head.startswith(b"RIFF") and head[8:12] == b"WAVE":
        return "wave"
    if head.startswith(b"ID3") or (
        len(head) > 2 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0 and head[1] != 0xFF
    ):
        return "mpeg audio"
    return None


def _by_library(head: bytes) -> str | None:
    # Loaded with the first file.
    import puremagic

    try:
        guesses = puremagic.magic_string(head[:8192])
    except (puremagic.PureError, ValueError, LookupError):
        return None
    return next((_ALIASES.get(one.mime_type, one.mime_type) for one in guesses if one.mime_type), None)
