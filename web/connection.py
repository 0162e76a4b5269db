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


class Departure:
    """Whether a client has gone, and who is to be told; thousands of them wait, so it is smaller than asyncio.Event."""

    __slots__ = ("_callbacks", "_is_set")

    def __init__(self) -> None:
        self._is_set = False
        self._callbacks: list[Callable[[], None]] | None = None

    def is_set(self) -> bool:
        """Has the client gone?"""
        return self._is_set

    def set(self) -> None:
        """The client has gone: tells all who want to know."""
        self._is_set = True
        callbacks, self._callbacks = self._callbacks, None
        for callback in callbacks or ():
            callback()

    def add_callback(self, callback: Callable[[], None]) -> None:
        """It is called once the client has gone; at once if that is so already."""
        if self._is_set:
            callback()
        elif self._callbacks is None:
            self._callbacks = [callback]
        else:
            self._callbacks.append(callback)

    def remove_callback(self, callback: Callable[[], None]) -> None:
        """It is not called any more."""
        if self._callbacks is not None and callback in self._callbacks:
            self._callbacks.remove(callback)

    async def wait(self) -> None:
        """Returns when the client has gone."""
        gone = asyncio.get_running_loop().create_future()

        def tell() -> None:
            if not gone.done():
                gone.set_result(None)

        self.add_callback(tell)
        try:
            await gone
        finally:
            self.remove_callback(tell)


class Connection(web.RequestHandler):
    """One connection of a client; `gone` is set when it has ended. One that is spent takes no other request."""

    __slots__ = ("_gone", "_is_spent")
    _is_spent: bool

    def spend(self) -> None:
        """The request that is answered now is the last one."""
        self._is_spent = True

    def gone(self) -> Departure:
        """Whether this connection has ended; made on demand, since most calls are over before."""
        event: Departure | None = getattr(self, "_gone", None)
        if event is None:
            event = self._gone = Departure()
            if self.transport is None or self.transport.is_closing():
                event.set()
        return event

    def connection_lost(self, exc: BaseException | None) -> None:
        """The event loop says that the connection has ended."""
        super().connection_lost(exc)
        event: Departure | None = getattr(self, "_gone", None)
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


def last_of(request: web.BaseRequest, response: web.StreamResponse) -> web.StreamResponse:
    """The response itself, which says that it is the last one where the connection is spent."""
    if getattr(request.protocol, "_is_spent", False):
        response.force_close()
    return response


def disconnection(request: web.BaseRequest) -> Departure:
    """Whether the client of the request has gone; never so on connections that are not ours."""
    connection = request.protocol
    return connection.gone() if isinstance(connection, Connection) else Departure()
