"""HTTP/2 to one provider: few connections, many requests on each (RFC 9113, by h2).

Theory of operation: h2 knows frames, streams and header compression; here are the sockets. A connection takes requests until
its server has said GOAWAY, its streams have run out, or it is broken; then the next one is opened. Requests that a GOAWAY
leaves out have not been looked at («can be retried»), and go to the next connection; those below it are still answered.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from push_gateway.connection import Connection, NotSent, tls_context
from push_gateway.outcome import Answer, Unreachable

CONNECTIONS: Final = 4
ATTEMPTS: Final = 10
HTTPS_PORT: Final = 443


class Origin:
    """Where requests go to; it opens what connections it needs, and keeps them."""

    def __init__(self, url: str, ca_file: str | None = None, seconds: float = 10.0) -> None:
        """`url` is of the form https://host[:port]; `ca_file`: authorities to trust besides the system's."""
        parts = urlsplit(url)
        self.host = parts.hostname or ""
        self.port = parts.port or HTTPS_PORT
        self.authority = parts.netloc
        self._ca_file = ca_file
        self._seconds = seconds
        self._tls: ssl.SSLContext | None = None
        self._connections: list[Connection] = []
        self._opening: asyncio.Task[Connection] | None = None
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def post(self, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """The answer; raises Unreachable when there is none in time."""
        try:
            async with asyncio.timeout(self._seconds):
                return await self._post(path, headers, body)
        except TimeoutError:
            raise Unreachable(f"{self.host} did not answer in time") from None
        except (OSError, NotSent) as error:
            raise Unreachable(f"{self.host} cannot be asked: {error}") from None

    async def _post(self, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        fields = [
            (":method", "POST"), (":scheme", "https"), (":authority", self.authority), (":path", path),
            *headers.items(), ("content-length", str(len(body))),
        ]  # fmt: skip
        for attempt in range(1, ATTEMPTS + 1):
            connection = await self._free()
            try:
                return await connection.request(fields, body)
            except NotSent:
                if attempt == ATTEMPTS:
                    raise
            finally:
                self._freed()
        raise AssertionError("it has returned or raised")

    async def _free(self) -> Connection:
        """A connection that takes one more request."""
        while True:
            self._connections = [one for one in self._connections if one.is_alive]
            open_ones = [one for one in self._connections if one.takes_requests]
            free = min(open_ones, key=lambda one: one.running, default=None)
            if free is not None and free.running < free.limit:
                return free
            if len(open_ones) < CONNECTIONS:
                await self._open()
            else:
                await self._wait()

    async def _open(self) -> None:
        """One more connection; those who want one at the same time share it."""
        if self._opening is None or _has_failed(self._opening):
            self._opening = asyncio.create_task(self._opened(), name=f"connecting to {self.host}")
        opening = self._opening
        try:
            connection = await asyncio.shield(opening)
        finally:
            if opening.done() and self._opening is opening:
                self._opening = None
        if connection not in self._connections:
            self._connections.append(connection)

    async def _opened(self) -> Connection:
        if self._tls is None:
            self._tls = tls_context(self._ca_file)
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(self._seconds):
            _, connection = await loop.create_connection(
                lambda: Connection(loop), self.host, self.port, ssl=self._tls, server_hostname=self.host
            )
            try:
                await connection.ready
            except BaseException:
                connection.close()
                raise
        return connection

    async def _wait(self) -> None:
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self._freed()  # the place that we were given is the next one's
            raise

    def _freed(self) -> None:
        while self._waiting:
            place = self._waiting.popleft()
            if not place.done():
                place.set_result(None)
                return

    async def close(self) -> None:
        """Ends all connections."""
        opening, self._opening = self._opening, None
        if opening is not None:
            opening.cancel()
            await asyncio.wait([opening])
        for connection in self._connections:
            connection.close()
        self._connections = []

    def __repr__(self) -> str:
        return f"Origin({self.authority})"


def _has_failed(opening: asyncio.Task[Connection]) -> bool:
    """Has it failed while nobody waited any more?"""
    return opening.done() and (opening.cancelled() or opening.exception() is not None)
