"""HTTPS to other servers: connections to addresses that were checked, kept for reuse, their names verified."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO

from aiohttp import (
    ClientConnectorError,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    ConnectionTimeoutError,
    DummyCookieJar,
    TCPConnector,
)
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.connector import AddrInfoType
from yarl import URL

from federation.client.addresses import Guard, as_ip
from federation.client.names import Names
from services.settings import Federation

CONNECT_SECONDS = 10.0
KEPT_SECONDS = 30.0
"""How long an idle connection is kept: less than servers usually do, so that we seldom write to a closed one."""
MAX_KEPT = 200
"""Hosts to which idle connections are kept: the buffers of one are nearly half a MiB."""
PER_HOST = 50
LARGE = 512 * 1024
USER_AGENT = "Hearth"


class Blocked(OSError):
    """The address is a private one, or otherwise not to be connected to."""


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a server is: its connect targets in the order in which to try them, and who they must prove to be."""

    targets: Sequence[tuple[str, int]]
    host_header: str
    tls_name: str
    """A host name, or an IP literal without brackets."""
    scheme: str = "https"


class Connections:
    """A pool of connections; `close` ends it."""

    def __init__(self, settings: Federation, names: Names) -> None:
        self._guard = Guard(settings.allowed_private_networks)
        self._settings = settings
        connector = TCPConnector(
            resolver=_Resolver(names, self._guard),
            limit=0,
            limit_per_host=PER_HOST,
            keepalive_timeout=KEPT_SECONDS,
            socket_factory=self._socket,
        )
        self._kept: OrderedDict[str, float] = OrderedDict()  # when the host of this name was asked last
        self._session = ClientSession(
            connector=connector, cookie_jar=DummyCookieJar(), headers={"User-Agent": USER_AGENT}
        )

    @asynccontextmanager
    async def request(
        self,
        method: str,
        destination: Destination,
        path: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None = None,
        seconds: float,
    ) -> AsyncIterator[ClientResponse]:
        """The response of the first target that can be connected to; `path` goes out as it is.

        Raises aiohttp.ClientError, TimeoutError or OSError. Redirects are not followed.
        """
        async with asyncio.timeout(seconds), AsyncExitStack() as stack:
            response = await self._first(method, destination, path, headers, body)
            stack.callback(response.close)  # what was not read to its end cannot be reused
            yield response
            if response.content.at_eof():
                response.release()

    async def _first(
        self,
        method: str,
        destination: Destination,
        path: str,
        headers: Mapping[str, str],
        body: bytes | None,
    ) -> ClientResponse:
        last: Exception = Blocked("there is nowhere to connect to")
        if not self._is_kept(destination.tls_name):
            headers = {**headers, "Connection": "close"}
        for host, port in destination.targets:
            try:
                url = URL(f"{destination.scheme}://{_bracketed(host)}:{port}{path}", encoded=True)
                return await self._session.request(
                    method,
                    url,
                    headers={**headers, "Host": destination.host_header},
                    data=BytesIO(body) if body and len(body) > LARGE else body,  # in pieces
                    allow_redirects=False,
                    ssl=self._tls,
                    server_hostname=destination.tls_name,
                    timeout=ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
                )
            except (ClientConnectorError, ConnectionTimeoutError) as error:
                last = error
            except ValueError as error:  # a name that URLs, TLS or IDNA do not take
                last = Blocked(f"{host} is not a name to connect to: {error}")
        raise last

    def _is_kept(self, name: str) -> bool:
        """Whether the connection to this host stays open a while for what comes next, which of many is too much memory."""
        now = asyncio.get_running_loop().time()
        while self._kept and next(iter(self._kept.values())) < now - KEPT_SECONDS:
            self._kept.popitem(last=False)
        if name not in self._kept and len(self._kept) >= MAX_KEPT:
            return False
        self._kept[name] = now
        self._kept.move_to_end(name)
        return True

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        """Made for the first request: the system's authorities take 0.6 MiB, as often as they are read."""
        return tls_context(self._settings)

    def _socket(self, where: AddrInfoType) -> socket.socket:
        """Every connection begins here, to whatever address it goes."""
        family, kind, protocol, _, address = where
        ip = as_ip(str(address[0]))
        if ip is None or not self._guard.permits(ip):
            raise Blocked(f"{address[0]} is not an address to connect to")
        return socket.socket(family, kind, protocol)

    async def close(self) -> None:
        """Ends all connections."""
        await self._session.close()


class _Resolver(AbstractResolver):
    """What aiohttp asks for the addresses of a host: those that may be connected to."""

    def __init__(self, names: Names, guard: Guard) -> None:
        self._names = names
        self._guard = guard

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Raises OSError when there is none."""
        found = []
        for endpoint in await self._names.endpoints(host, port):
            ip = as_ip(endpoint.address)
            if ip is None or not self._guard.permits(ip):
                continue
            found.append(
                ResolveResult(
                    hostname=host,
                    host=str(ip),
                    port=endpoint.port,
                    family=socket.AF_INET if ip.version == 4 else socket.AF_INET6,
                    proto=socket.IPPROTO_TCP,
                    flags=socket.AI_NUMERICHOST,
                )
            )
        if not found:
            raise Blocked(f"{host} has no address to connect to")
        return found

    async def close(self) -> None:
        """There is nothing to end."""


def tls_context(settings: Federation) -> ssl.SSLContext:
    """The system's authorities and those of `ca_file`; nothing is verified when that is switched off."""
    context = ssl.create_default_context()
    if settings.ca_file is not None:
        context.load_verify_locations(settings.ca_file)
    if not settings.verify_certificates:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
