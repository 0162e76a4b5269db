"""The client side of federation alone: no homeserver, no database; real sockets and TLS, a fake DNS and clock."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from federation.client.connections import Connections
from federation.client.discovery import Discovery
from federation.client.request import Question, Requests
from federation.client.well_known import WellKnown
from protocol.ids import ServerName
from protocol.signing import SigningKey
from services.settings import Federation
from tests.fixtures.names import FakeNames
from tests.fixtures.time import FakeClock, FakeRandom

OURS = ServerName("us.example")
KEY = SigningKey.from_seed("ed25519:us", b"U" * 32)
VERSION = "/_matrix/federation/v1/version"


@dataclass
class Reach:
    """Asks servers."""

    names: FakeNames
    clock: FakeClock
    connections: Connections
    well_known: WellKnown
    discovery: Discovery
    requests: Requests

    async def ask(self, server: str, path: str = VERSION, **question: Any) -> Any:
        """The JSON of the answer."""
        return await self.requests.ask(ServerName(server), Question("GET", path, **question))


@asynccontextmanager
async def reaching(settings: Federation) -> AsyncIterator[Reach]:
    """The client, until the end."""
    names, clock = FakeNames(), FakeClock()
    connections = Connections(settings, names)
    well_known = WellKnown(connections, clock)
    discovery = Discovery(names, well_known, FakeRandom())
    requests = Requests(OURS, KEY, discovery, connections, settings.timeout)
    try:
        yield Reach(names, clock, connections, well_known, discovery, requests)
    finally:
        await well_known.close()
        await connections.close()
