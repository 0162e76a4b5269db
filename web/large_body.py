"""Large bodies: a thread reads them from the socket into one buffer, past the event loop and aiohttp's parser, which copy them.

The parser does not learn where the body ends, so no other request can follow on the connection: it ends with the response.
"""

import asyncio
import os
import select
import time
from collections.abc import AsyncIterator, Callable

from aiohttp import web

from web.connection import Connection, disconnection
from web.receive import STALL, ask_for_body, check_announced, read_chunks, too_slow
from web.sockets import LEFT, ClientLeft, plain_socket, readable

LARGE = 1024 * 1024
"""Bytes; below it a connection that goes on is worth more."""
PIECE = 2 * 1024 * 1024
PATIENCE = 10
"""Milliseconds that the thread waits for more, before the event loop does."""
TURN = 0.1
"""Seconds after which others may have the thread."""
MOST = 16
"""Bodies at a time that are read so, since each has a buffer; further ones come the usual way."""

Take = Callable[[memoryview], None]

_now: set["LargeBody"] = set()


class LargeBody:
    """The body of a request: iterated over, piece by piece, or better poured."""

    def __init__(self, request: web.BaseRequest, connection: Connection, size: int, maximum: int) -> None:
        self._request = request
        self._connection = connection
        self._size = size
        self._maximum = maximum

    def __aiter__(self) -> AsyncIterator[bytes]:
        return read_chunks(self._request, self._maximum)

    async def pour(self, take: Take) -> None:
        """Calls `take` with each piece, in a thread; the piece is good until it returns. Raises what it raises, TooLarge,
        ClientLeft when the client goes away before the end, and Unknown (408) when nothing more comes.
        """
        request = self._request
        check_announced(request, self._maximum)
        await ask_for_body(request)
        begun = _already_here(request)
        left = self._size - len(begun)
        if left == 0:
            await asyncio.to_thread(take, memoryview(begun))
            return
        descriptor = plain_socket(request)
        if descriptor is None or request.transport is None:
            raise ClientLeft
        request.transport.pause_reading()
        self._connection.spend()
        copy = os.dup(descriptor)
        _now.add(self)
        try:
            await _poured(request, copy, _Pouring(copy, begun, left, take))
        finally:
            _now.discard(self)
            os.close(copy)


def large_body(request: web.BaseRequest, maximum: int) -> LargeBody | None:
    """The request's body, if it is large, its bytes come as they are, and not too many are read so already."""
    size = request.content_length
    if size is None or size < LARGE or len(_now) >= MOST or "Content-Encoding" in request.headers:
        return None
    connection = request.protocol
    if not isinstance(connection, Connection) or plain_socket(request) is None:
        return None
    return LargeBody(request, connection, size, maximum)


def _already_here(request: web.BaseRequest) -> bytes:
    """What has come with the headers, or just after them."""
    found = []
    while chunk := request.content.read_nowait(-1):
        found.append(chunk)
    return b"".join(found)


class _Pouring:
    """What a thread does by turns."""

    def __init__(self, descriptor: int, begun: bytes, left: int, take: Take) -> None:
        self._descriptor = descriptor
        self._begun = begun
        self._left = left
        self._take = take
        self._buffer = memoryview(bytearray(min(PIECE, left)))
        self._filled = 0
        self.is_given_up = False

    def turn(self) -> bool:
        """Reads on; whether more is to come that has not come yet. Raises ClientLeft."""
        if self._begun:
            self._take(memoryview(self._begun))
            self._begun = b""
        end, poll = time.monotonic() + TURN, select.poll()
        poll.register(self._descriptor, select.POLLIN)
        while self._left and not self.is_given_up and time.monotonic() < end:
            if not self._read() and not poll.poll(PATIENCE):
                break
        return self._left > 0

    def _read(self) -> bool:
        """Whether something was there."""
        room = self._buffer[self._filled : self._filled + self._left]
        try:
            size = os.readv(self._descriptor, [room])
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno in LEFT:
                raise ClientLeft from error
            raise
        if size == 0:
            raise ClientLeft
        self._filled += size
        self._left -= size
        if self._filled == len(self._buffer) or not self._left:
            self._take(self._buffer[: self._filled])
            self._filled = 0
        return True


async def _poured(request: web.BaseRequest, socket: int, pouring: _Pouring) -> None:
    try:
        while await _in_thread(pouring):
            if disconnection(request).is_set():
                raise ClientLeft
            await _more(request, socket)
        request.content.feed_eof()
    except BaseException:
        if request.transport is not None:
            request.transport.resume_reading()  # what still comes is swallowed, so that the client hears why
        raise


async def _more(request: web.BaseRequest, socket: int) -> None:
    try:
        async with asyncio.timeout(STALL):
            await readable(request, socket)
    except TimeoutError:
        raise too_slow() from None


async def _in_thread(pouring: _Pouring) -> bool:
    """A turn, which is over when this is, also when the task is cancelled."""
    turn = asyncio.ensure_future(asyncio.to_thread(pouring.turn))
    try:
        return await asyncio.shield(turn)
    except asyncio.CancelledError:
        pouring.is_given_up = True
        await asyncio.wait([turn])
        raise
