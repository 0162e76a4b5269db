"""Copying a file to a connection: by the kernel where it is plain TCP, else in pieces that a thread reads.

The kernel is told by hand (`os.sendfile`), on a second descriptor of the socket, since uvloop has no `loop.sendfile`. Meanwhile
nothing else may be written: all that was before has left.
"""

import asyncio
import os
from typing import IO

from aiohttp import web

from web.sockets import LEFT, ClientLeft, plain_socket, writable

PIECE = 512 * 1024
AHEAD = 4 * 1024 * 1024
"""Bytes that the kernel is asked to read from the disk before they are needed."""


async def send_file(
    request: web.BaseRequest, response: web.StreamResponse, file: IO[bytes], start: int, end: int
) -> None:
    """Writes the file's bytes from `start` to before `end` into a response that is prepared. Raises ClientLeft, or another
    ConnectionError, when the client has gone, EOFError when the file ends before.
    """
    descriptor = plain_socket(request)
    if descriptor is None or not hasattr(os, "sendfile"):
        await _send_pieces(response, file, start, end)
        return
    copy = os.dup(descriptor)
    try:
        await _written_out(request, copy)
        await _send_by_kernel(request, copy, file.fileno(), start, end)
    finally:
        os.close(copy)


async def _written_out(request: web.BaseRequest, socket: int) -> None:
    """Returns when all that was written so far has left the process: when the socket takes more, that goes first."""
    while (transport := request.transport) is not None and transport.get_write_buffer_size():
        await writable(request, socket)


async def _send_by_kernel(request: web.BaseRequest, socket: int, file: int, start: int, end: int) -> None:
    ahead = start
    while start < end:
        if ahead < end and start + AHEAD // 2 >= ahead:
            os.posix_fadvise(file, ahead, AHEAD, os.POSIX_FADV_WILLNEED)
            ahead += AHEAD
        if request.transport is None or request.transport.is_closing():
            raise ClientLeft
        try:
            sent = os.sendfile(socket, file, start, min(PIECE, end - start))
        except BlockingIOError:
            await writable(request, socket)
            continue
        except OSError as error:
            if error.errno in LEFT:
                raise ClientLeft from error
            raise
        if sent == 0:
            raise EOFError("The file is shorter than it was")
        start += sent
        await asyncio.sleep(0)


async def _send_pieces(response: web.StreamResponse, file: IO[bytes], start: int, end: int) -> None:
    file.seek(start)
    while start < end:
        piece = await asyncio.to_thread(file.read, min(PIECE, end - start))
        if not piece:
            raise EOFError("The file is shorter than it was")
        await response.write(piece)
        start += len(piece)
