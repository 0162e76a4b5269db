"""What becomes of a file's reply when the request is conditional, or asks for a part of it (RFC 9110 §13, §14).

A file never changes: its strong validator is the digest of its bytes.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from services.tenant import Tenant
from web.call import Call
from web.reply import FileBody, Reply

_NOT_MODIFIED, _PARTIAL, _NOT_SATISFIABLE = 304, 206, 416
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII | re.IGNORECASE)
_KEPT_BY_304 = ("Cache-Control", "ETag", "Content-Security-Policy", "Cross-Origin-Resource-Policy")


def blob_reply(tenant: Tenant, digest: bytes, size: int, content_type: str, headers: dict[str, str]) -> Reply:
    """The whole blob."""
    shown = headers | {"ETag": f'"{digest.hex()}"', "Accept-Ranges": "bytes"}
    return Reply(200, _body(tenant, digest)(0, size), shown, content_type, size)


def as_asked(call: Call[Tenant, Any], reply: Reply) -> Reply:
    """The reply, or the part of it that is asked for, or that the client has it already."""
    asked = call.headers
    etag = reply.headers.get("ETag", "")
    if _matches(asked.get("If-None-Match"), etag):
        kept = {name: reply.headers[name] for name in _KEPT_BY_304 if name in reply.headers}
        return Reply(_NOT_MODIFIED, b"", kept, reply.content_type)
    if not etag or reply.length is None or asked.get("If-Range", etag) != etag:
        return reply
    part = _part(asked.get("Range"), reply.length)
    if part is None:
        return reply
    start, end = part
    if start >= end:
        unsatisfied = {"Content-Range": f"bytes */{reply.length}"}
        return Reply(_NOT_SATISFIABLE, b"", unsatisfied, reply.content_type)
    headers = dict(reply.headers) | {"Content-Range": f"bytes {start}-{end - 1}/{reply.length}"}
    body = _body(call.tenant, bytes.fromhex(etag.strip('"')))(start, end)
    return replace(reply, status=_PARTIAL, body=body, headers=headers, length=end - start)


def _body(tenant: Tenant, digest: bytes) -> Callable[[int, int], Any]:
    path = tenant.blobs.path(digest)
    if path is not None:
        return lambda start, end: FileBody(path, start, end)
    return lambda start, end: tenant.blobs.read(digest, start, end)


def _matches(condition: str | None, etag: str) -> bool:
    """If-None-Match compares weakly: «W/» does not matter."""
    if condition is None or not etag:
        return False
    return condition.strip() == "*" or etag in [
        one.strip().removeprefix("W/") for one in condition.split(",")
    ]


def _part(asked: str | None, size: int) -> tuple[int, int] | None:
    """From where to before where; empty when there is no such part, None when the whole is to be given: also where several
    parts are asked for, or nonsense.
    """
    match = None if asked is None else _RANGE.fullmatch(asked.replace(" ", ""))
    if match is None or match.group(1) == match.group(2) == "":
        return None
    first, last = match.groups()
    if first == "":
        return max(0, size - int(last)), size
    if last != "" and int(last) < int(first):
        return None
    return int(first), min(size, int(last) + 1 if last else size)
