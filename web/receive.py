"""The bytes of a request's body, within a limit of size and time."""

import asyncio
from collections.abc import AsyncIterator

from aiohttp import web

from protocol.matrix_error import TooLarge, Unknown

BODY_TIMEOUT = 60.0
"""Seconds that a client has for sending a body that is read whole."""
STALL = 60.0
"""Seconds after which a client that sends nothing more of a longer body is given up."""


async def read_body(request: web.BaseRequest, maximum: int) -> bytes:
    """The whole body; raises TooLarge beyond `maximum` bytes, Unknown (408) when it does not come."""
    content = request.content
    if content.is_eof():
        body = content.read_nowait(-1)
        if len(body) > maximum:
            raise TooLarge
        return body
    try:
        async with asyncio.timeout(BODY_TIMEOUT):
            return b"".join([chunk async for chunk in read_chunks(request, maximum)])
    except TimeoutError:
        raise too_slow() from None


async def read_chunks(request: web.BaseRequest, maximum: int) -> AsyncIterator[bytes]:
    """The body piece by piece as it comes; raises TooLarge beyond `maximum` bytes, at once where the size is
    announced, and Unknown (408) when nothing more comes.
    """
    check_announced(request, maximum)
    await ask_for_body(request)
    size, content = 0, request.content
    # As they came: not joined, which would copy them. aiohttp's own iterator never ends at its second empty body.
    while not content.at_eof():
        try:
            async with asyncio.timeout(STALL):
                chunk, _ = await content.readchunk()
        except TimeoutError:
            raise too_slow() from None
        size += len(chunk)
        if size > maximum:
            raise TooLarge
        if chunk:
            yield chunk


def too_slow() -> Unknown:
    """What a client is told whose body does not come."""
    return Unknown("The request's body did not come in time", status=408)


def check_announced(request: web.BaseRequest, maximum: int) -> None:
    """Raises TooLarge for a body that says so itself."""
    announced = request.content_length
    if announced is not None and announced > maximum:
        raise TooLarge


async def ask_for_body(request: web.BaseRequest) -> None:
    """Tells a client that waits for it that the body may come."""
    # RFC 9110 §10.1.1: the client holds a large body back until it is told that it is welcome.
    if request.headers.get("Expect", "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0
