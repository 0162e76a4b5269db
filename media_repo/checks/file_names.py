"""File names that are to fool people: a second extension, one that hides behind spaces or text that runs backwards."""

from __future__ import annotations

import re
from typing import Final

# What common systems run when it is opened.
_RUN: Final = frozenset(
    [
        "exe",
        "com",
        "scr",
        "pif",
        "bat",
        "cmd",
        "msi",
        "msp",
        "cpl",
        "dll",
        "sys",
        "vbs",
        "vbe",
        "js",
        "jse",
        "wsf",
        "wsh",
        "hta",
        "ps1",
        "psm1",
        "jar",
        "lnk",
        "url",
        "reg",
        "inf",
        "scf",
        "chm",
        "appimage",
        "apk",
        "dmg",
        "pkg",
        "app",
        "command",
        "sh",
        "desktop",
    ]
)
_HARMLESS: Final = frozenset(
    [
        "pdf",
        "doc",
        "docx",
        "xls",
        "xlsx",
        "ppt",
        "pptx",
        "odt",
        "ods",
        "odp",
        "txt",
        "rtf",
        "csv",
        "jpg",
        "jpeg",
        "png",
        "gif",
        "webp",
        "avif",
        "bmp",
        "svg",
        "mp3",
        "ogg",
        "wav",
        "m4a",
        "flac",
        "mp4",
        "webm",
        "mov",
        "mkv",
        "avi",
        "zip",
    ]
)
# Characters that change the order in which a name is read.
_TURNING: Final = re.compile("[\u202a-\u202e\u2066-\u2069]")
_EXECUTABLE: Final = "application/x-executable"


def disguise(file_name: str | None, declared: str, found: str | None) -> str | None:
    """How the name fools people; None when it does not."""
    if not file_name:
        return None
    name = file_name.rstrip(". ").lower()
    extensions = [part.strip() for part in name.split(".")[1:]]
    last = extensions[-1] if extensions else ""
    if _TURNING.search(file_name):
        return "its name runs backwards"
    if last in _RUN and (any(part in _HARMLESS for part in extensions[:-1]) or "   " in name):
        return "its name has two extensions, and the last is a program's"
    if last in _RUN and declared.partition("/")[0] in ("image", "audio", "video"):
        return "its name is a program's"
    if found == _EXECUTABLE and last in _HARMLESS:
        return "a program is named as if it were none"
    return None
