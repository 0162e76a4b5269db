"""Opens the ports, each with the endpoints of its APIs and, where there is a certificate, with TLS."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

from homeserver.authenticate import requester_of
from homeserver.config import ListenerConfig
from homeserver.limits import Crowds, hold_back
from homeserver.routes import api_of
from services.requester import Peer, Requester
from services.tenant import Tenant
from web.connection import Answer, Server
from web.endpoint import Endpoint
from web.router import Router
from web.serve import Served, Site

BACKLOG = 4096
"""Connections that may wait to be accepted: a thousand clients come back at once after a restart."""
GRACE = 10.0
"""Seconds that requests have to end when the server stops."""


class ListenError(Exception):
    """A port cannot be opened; the text says why."""


def by_host(tenants: Sequence[Tenant]) -> dict[str, Tenant]:
    """Which tenant a Host header means: by its server name, or by the host of its public base URL."""
    hosts = {str(tenant.name).lower(): tenant for tenant in tenants}
    for tenant in tenants:
        hosts.setdefault(urlsplit(tenant.settings.public_base_url).netloc.lower(), tenant)
    return hosts


@asynccontextmanager
async def listening(
    listener: ListenerConfig,
    endpoints: Sequence[Endpoint],
    tenants: Sequence[Tenant],
    observe: Callable[[Served], None],
    crowds: Crowds | None = None,
) -> AsyncIterator[str]:
    """The URL that is listened on; at the end waiting calls are answered, and running ones awaited for a while."""
    served = [endpoint for endpoint in endpoints if api_of(endpoint) in listener.apis]
    default = tenants[0] if len(tenants) == 1 else None
    hosts: Mapping[str, Tenant] = by_host(tenants) if default is None else {}
    site: Site[Tenant, Requester | Peer] = Site(
        Router(served), hosts, default, requester_of, hold_back, observe, crowds or Crowds(), _token_in_query
    )
    async with serving(listener, site) as url:
        yield url


@asynccontextmanager
async def serving(listener: ListenerConfig, site: Site[Any, Any]) -> AsyncIterator[str]:
    """The URL at which the site is served; at the end waiting calls are answered, and running ones awaited for a while."""
    server = Server(_forwarded(site.answer)) if listener.behind_proxy else site.server()
    sockets = await _open(server, listener)
    try:
        yield _url(listener, sockets)
    finally:
        sockets.close()
        server.pre_shutdown()  # ends connections on which nothing is going on
        server.tell_all_gone()
        await server.shutdown(GRACE)


def _token_in_query(tenant: Tenant) -> bool:
    return tenant.settings.accounts.token_in_query


def _forwarded(answer: Answer) -> Answer:
    """For requests that come through a proxy: the client is whom the nearest proxy saw, the last one named."""

    async def answer_client(request: web.BaseRequest) -> web.StreamResponse:
        client = request.headers.get("X-Forwarded-For", "").rpartition(",")[2].strip()
        return await answer(request.clone(remote=client) if client else request)

    return answer_client


async def _open(server: Server, listener: ListenerConfig) -> asyncio.Server:
    loop = asyncio.get_running_loop()
    try:
        if listener.address == "::":
            # asyncio would leave IPv4 out.
            every = socket.create_server(
                (listener.address, listener.port),
                family=socket.AF_INET6,
                backlog=BACKLOG,
                dualstack_ipv6=True,
            )
            return await loop.create_server(server, sock=every, ssl=_tls(listener), backlog=BACKLOG)
        return await loop.create_server(
            server, listener.address, listener.port, ssl=_tls(listener), backlog=BACKLOG
        )
    except (OSError, ssl.SSLError) as error:
        raise ListenError(f"cannot listen on {listener.address} port {listener.port}: {error}") from None


def _tls(listener: ListenerConfig) -> ssl.SSLContext | None:
    if listener.tls_certificate is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(listener.tls_certificate, listener.tls_key)
    return context


def _url(listener: ListenerConfig, sockets: asyncio.Server) -> str:
    port = sockets.sockets[0].getsockname()[1]
    host = {"0.0.0.0": "localhost", "::": "localhost"}.get(listener.address, listener.address)
    host = f"[{host}]" if ":" in host else host
    return f"{'https' if listener.tls_certificate else 'http'}://{host}:{port}"
