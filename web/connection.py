"""HTTP connections: aiohttp's, but they tell their call when the client has gone, and refuse garbage in
Matrix's words.
"""

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web

from protocol.matrix_error import Unknown
from web.errors import refusal

MAX_REQUEST_LINE = 32 * 1024
"""Bytes: filters and room IDs may stand, percent-encoded, in the path and the query."""
MAX_HEADER = 16 * 1024

Answer = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class Connection(web.RequestHandler):
    """One connection of a client; `gone` is set when it has ended."""

    __slots__ = ("_gone",)

    def gone(self) -> asyncio.Event:
        """The event that this connection has ended; made on demand, since most calls are over before."""
        event: asyncio.Event | None = getattr(self, "_gone", None)
        if event is None:
            event = self._gone = asyncio.Event()
            if self.transport is None or self.transport.is_closing():
                event.set()
        return event

    def connection_lost(self, exc: BaseException | None) -> None:
        """The event loop says that the connection has ended."""
        super().connection_lost(exc)
        event: asyncio.Event | None = getattr(self, "_gone", None)
        if event is not None:
            event.set()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The response to what is not HTTP; endpoints' errors have become replies before."""
        if isinstance(exc, ConnectionError):
            raise exc  # the response was cut off, and aiohttp closes the connection
        said = Unknown("This is not a proper HTTP request" if status < 500 else None, status=status)
        response = refusal(said)
        response.force_close()
        return response


class Server(web.Server):
    """Makes the connections of a listening socket, whatever that is: `loop.create_server(server, ...)`.

    A handler is never cancelled because its client went away: a write must not stop midway.
    """

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer, handler_cancellation=False)

    def __call__(self) -> Connection:
        """A connection, for the event loop that has accepted one."""
        return Connection(
            self,
            loop=self._loop,
            access_log=None,  # type: ignore[arg-type]  # aiohttp takes it; we observe calls ourselves
            max_line_size=MAX_REQUEST_LINE,
            max_field_size=MAX_HEADER,
        )

    def tell_all_gone(self) -> None:
        """Ends the waiting of every call, as if its client had left: for a server that stops."""
        for connection in self.connections:
            if isinstance(connection, Connection):
                connection.gone().set()


def disconnection(request: web.BaseRequest) -> asyncio.Event:
    """The event that the client of the request has gone; never set on connections that are not ours."""
    connection = request.protocol
    return connection.gone() if isinstance(connection, Connection) else asyncio.Event()
