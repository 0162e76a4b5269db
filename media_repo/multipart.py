"""Files as other servers get them: the file behind an (empty) description, as two parts of one body (§Content Repository)."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import replace

from services.tenant import Random
from web.reply import FileBody, Reply

_BOUNDARY_LENGTH = 30


def as_multipart(reply: Reply, random: Random) -> Reply:
    """The file that the reply would be for clients, for servers.

    «The first part has a Content-Type header of application/json and describes the media's metadata, if any.»
    """
    boundary = random.token(_BOUNDARY_LENGTH)
    disposition = reply.headers.get("Content-Disposition", "attachment")
    before = (
        f"--{boundary}\r\nContent-Type: application/json\r\n\r\n{{}}\r\n"
        f"--{boundary}\r\nContent-Type: {reply.content_type}\r\nContent-Disposition: {disposition}\r\n\r\n"
    ).encode()
    after = f"\r\n--{boundary}--\r\n".encode()
    length = None if reply.length is None else len(before) + reply.length + len(after)
    if isinstance(reply.body, FileBody):
        body: FileBody | AsyncIterator[bytes] = replace(reply.body, before=before, after=after)
    else:
        body = _between(before, reply.body, after)
    return Reply(200, body, {}, f"multipart/mixed; boundary={boundary}", length)


async def _between(before: bytes, file: object, after: bytes) -> AsyncIterator[bytes]:
    yield before
    assert isinstance(file, AsyncIterable)
    try:
        async for chunk in file:
            yield chunk
    finally:
        close = getattr(file, "aclose", None)
        if close is not None:
            await close()
    yield after
