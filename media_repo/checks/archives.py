"""What an archive that begins with PK is: by the names of its members, which stand at its end."""

from __future__ import annotations

import io

ARCHIVE = "application/zip"
_OFFICE = "application/vnd.openxmlformats-officedocument."
_BY_FOLDER = (
    ("word/", f"{_OFFICE}wordprocessingml.document"),
    ("xl/", f"{_OFFICE}spreadsheetml.sheet"),
    ("ppt/", f"{_OFFICE}presentationml.presentation"),
)
_MAX_MEMBERS = 10_000
_LONGEST_TYPE = 80


def archive_kind(head: bytes, tail: bytes) -> str:
    """The type of what the archive holds, `application/zip` for any other, and for one that cannot be read."""
    names = _names(tail)
    if "[Content_Types].xml" in names:
        return next(
            (kind for folder, kind in _BY_FOLDER if any(n.startswith(folder) for n in names)), ARCHIVE
        )
    # OpenDocument and EPUB: «a file named mimetype [...] first, uncompressed».
    if head[30:38] == b"mimetype" and "mimetype" in names:
        size = int.from_bytes(head[22:26], "little")
        if 0 < size <= _LONGEST_TYPE:
            kind = head[38 : 38 + size].decode("ascii", "replace")
            return kind if kind.startswith("application/") else ARCHIVE
    if "AndroidManifest.xml" in names:
        return "application/vnd.android.package-archive"
    return "application/java-archive" if "META-INF/MANIFEST.MF" in names else ARCHIVE


def _names(tail: bytes) -> frozenset[str]:
    import zipfile  # few have been given an archive

    try:
        with zipfile.ZipFile(io.BytesIO(tail)) as archive:
            return frozenset(archive.namelist()[:_MAX_MEMBERS])
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError, LookupError):
        return frozenset()
