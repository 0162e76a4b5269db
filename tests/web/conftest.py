"""A site with endpoints of the tests' own, on a real socket."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import ClientSession

from protocol.matrix_error import LimitExceeded, UnknownToken
from web.call import Call
from web.connection import Server
from web.endpoint import Auth, Endpoint, RateClass
from web.router import Router
from web.serve import Served, Site


@dataclass(frozen=True, slots=True)
class Person:
    """Who the tests' tokens stand for."""

    user_id: str
    is_guest: bool = False


PEOPLE = {"alice-token": Person("@alice:one"), "guest-token": Person("@7:one", is_guest=True)}


@dataclass
class Running:
    """A site that listens, its client, and what it told of its calls."""

    session: ClientSession
    url: str
    port: int
    site: Site[str, Any]
    server: Server
    told: list[Served]
    limited: list[tuple[str, Any, str, RateClass]] = field(default_factory=list)
    refuse_after: int | None = None

    async def raw(self, data: bytes) -> bytes:
        """What the server sends for these bytes until it closes the connection."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(data)
        try:
            return await asyncio.wait_for(reader.read(), 60)
        finally:
            writer.close()


async def authenticate(call: Call[str, Any]) -> Any:
    """Tokens of PEOPLE; of another server's request what it would have signed."""
    if call.endpoint.auth is Auth.SERVER:
        return (call.headers["Authorization"].removeprefix("X-Matrix "), call.target, call.body)
    person = PEOPLE.get(call.access_token() or "")
    if person is None:
        raise UnknownToken(soft_logout=True)
    return person


Start = Callable[..., Any]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """A function that starts a site with the given endpoints."""
    async with AsyncExitStack() as stack:

        async def run(
            endpoints: Iterable[Endpoint], tenants: dict[str, str] | None = None, default: str | None = "one"
        ) -> Running:
            told: list[Served] = []

            async def limit(
                tenant: str, requester: Any, address: str, rate: RateClass, token: str | None = None
            ) -> None:
                running.limited.append((tenant, requester, address, rate))
                if running.refuse_after is not None and len(running.limited) > running.refuse_after:
                    raise LimitExceeded(1500)

            site: Site[str, Any] = Site(
                Router(endpoints), tenants or {}, default, authenticate, limit, told.append
            )
            server = site.server()
            listening = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0)
            stack.push_async_callback(listening.wait_closed)
            stack.callback(listening.close)
            stack.push_async_callback(server.shutdown, 1)
            session = await stack.enter_async_context(ClientSession())
            port = listening.sockets[0].getsockname()[1]
            running = Running(session, f"http://127.0.0.1:{port}", port, site, server, told)
            return running

        yield run
