"""What an endpoint answers: JSON with status 200, or a Reply that says more."""

from collections.abc import AsyncIterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Json = dict[str, Any] | list[Any]
"""A body for status 200; `orjson.Fragment` may stand anywhere in it for JSON that is already written."""

JSON_TYPE = "application/json"


@dataclass(frozen=True, slots=True)
class FileBody:
    """A part of a file on this machine's disk, and perhaps a little before and after it: the kernel copies it to the socket."""

    path: Path
    start: int
    end: int
    before: bytes = b""
    after: bytes = b""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer with a status or headers of its own.

    `body` is JSON (a dict or a list), bytes, a part of a file, or a stream of bytes; a stream whose size is known should say so
    in `length`, so that the receiver can notice a torn download. `content_type` None means JSON for JSON
    bodies, and octets for others.
    """

    status: int = 200
    body: dict[str, Any] | list[Any] | bytes | FileBody | AsyncIterable[bytes] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str | None = None
    length: int | None = None


def redirect(location: str) -> Reply:
    """Sends a browser elsewhere."""
    return Reply(302, b"", {"Location": location}, "text/plain")
