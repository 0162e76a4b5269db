"""The socket under a request, for those who move many bytes: what it is, when it is ready, and what the kernel says of its end.

They work on a second descriptor of it, since event loops let nobody else wait for their own.
"""

import asyncio
import errno
import ssl
from collections.abc import Callable

from aiohttp import web

from web.connection import disconnection

LEFT = frozenset((errno.EPIPE, errno.ECONNRESET, errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.ENETUNREACH))
"""What the kernel says of a socket whose other end is gone; of files it says other things."""


class ClientLeft(ConnectionResetError):
    """The client has gone before the end: that is no failure of ours."""

    def __init__(self) -> None:
        super().__init__("The client has gone")


def plain_socket(request: web.BaseRequest) -> int | None:
    """The descriptor of the request's socket, None where its bytes are encrypted; raises ClientLeft."""
    transport = request.transport
    if transport is None or transport.is_closing():
        raise ClientLeft
    if isinstance(transport.get_extra_info("ssl_object"), ssl.SSLObject):
        return None
    connection = transport.get_extra_info("socket")
    return None if connection is None else connection.fileno()


async def writable(request: web.BaseRequest, descriptor: int) -> None:
    """Returns when the socket takes more, or the client has gone."""
    loop = asyncio.get_running_loop()
    await _ready(request, descriptor, loop.add_writer, loop.remove_writer)


async def readable(request: web.BaseRequest, descriptor: int) -> None:
    """Returns when the socket has more, or the client has gone."""
    loop = asyncio.get_running_loop()
    await _ready(request, descriptor, loop.add_reader, loop.remove_reader)


async def _ready(
    request: web.BaseRequest,
    descriptor: int,
    add: Callable[[int, Callable[[], None]], object],
    remove: Callable[[int], object],
) -> None:
    ready = asyncio.get_running_loop().create_future()

    def tell() -> None:
        if not ready.done():
            ready.set_result(None)

    gone = disconnection(request)
    gone.add_callback(tell)
    add(descriptor, tell)
    try:
        await ready
    finally:
        remove(descriptor)
        gone.remove_callback(tell)
