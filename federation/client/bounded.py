"""Reading what strangers send, up to a limit."""

from __future__ import annotations

from collections.abc import AsyncIterator

from aiohttp import ClientResponse


class Endless(Exception):
    """There is more than we read."""


async def read_within(response: ClientResponse, limit: int) -> bytes:
    """The whole body, decompressed; raises Endless past the limit."""
    return b"".join([chunk async for chunk in chunks_within(response, limit)])


async def chunks_within(response: ClientResponse, limit: int) -> AsyncIterator[bytes]:
    """The body piece by piece; raises Endless past the limit."""
    if response.content_length is not None and response.content_length > limit:
        raise Endless(f"more than {limit} bytes")
    size = 0
    async for chunk in response.content.iter_any():
        size += len(chunk)
        if size > limit:
            raise Endless(f"more than {limit} bytes")
        yield chunk
