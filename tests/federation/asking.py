"""A homeserver that is asked by another server: the questions are signed, the replies held to the specification's schemas."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import quote, urlencode

import orjson
import pytest

from protocol.ids import ServerName
from services.rooms.receive.place import receive_event
from storage.events import Standing
from tests.federation.stranger import Stranger, View, view_of_room
from tests.fixtures.client import Client
from tests.fixtures.federation import MakeFederated, MakeLying
from tests.fixtures.homeserver import Homeserver
from tests.fixtures.lying_server import LyingServer
from tests.spec.response_schemas import ResponseSchemas
from tests.spec_location import spec_path

V1 = "/_matrix/federation/v1"


def part(text: str) -> str:
    """The text as a segment of a path."""
    return quote(text, safe="")


@cache
def _schemas() -> ResponseSchemas | None:
    try:
        return ResponseSchemas([spec_path("openapi", "server-server.json")])
    except pytest.skip.Exception:
        return None


async def ask(
    asker: LyingServer,
    of: Homeserver,
    method: str,
    path: str,
    json: Any = None,
    query: Mapping[str, object] | list[tuple[str, object]] = (),  # type: ignore[assignment]
) -> tuple[int, Any]:
    """Status and body of a signed request; the body has been checked."""
    asked = urlencode(list(query.items()) if isinstance(query, Mapping) else list(query))
    whole = f"{path}?{asked}" if asked else path
    status, body = await asker.request(of, method, whole, json)
    schemas = _schemas()
    if schemas is not None:
        schemas.check(method, path, status, "application/json", orjson.dumps(body))
    return status, body


@dataclass
class Scene:
    """`one` with Alice, and another server, `liar`, whose requests are honest here."""

    one: Homeserver
    alice: Client
    liar: LyingServer

    @property
    def stranger(self) -> Stranger:
        """Who makes the events of the other server."""
        return Stranger(ServerName(self.liar.name), self.liar.key)

    @property
    def eve(self) -> str:
        """A user of the other server."""
        return self.stranger.user("eve")

    async def room(self, version: str = "11", **request: Any) -> str:
        """A public room of Alice's."""
        return await self.alice.create_room(**{"preset": "public_chat", "room_version": version} | request)

    async def view(self, room_id: str) -> View:
        """The room as it is now."""
        return await view_of_room(self.one.tenant, room_id)

    async def eve_joins(self, room_id: str) -> str:
        """Eve is in the room; the join's ID."""
        event = self.stranger.joins(await self.view(room_id), self.eve)
        placed = await receive_event(self.one.tenant, event, self.stranger.name)
        assert placed.standing is Standing.TIMELINE, placed
        return event.event_id

    async def ask(self, method: str, path: str, json: Any = None, query: Any = ()) -> tuple[int, Any]:
        """What `one` answers to the other server; `path` begins after /_matrix/federation/v1/."""
        path = path if path.startswith("/") else f"{V1}/{path}"
        return await ask(self.liar, self.one, method, path, json, query)

    async def get(self, path: str, **query: object) -> Any:
        """The body of a 200."""
        status, body = await self.ask("GET", path, query=query)
        assert status == 200, (path, status, body)
        return body


@pytest.fixture
async def scene(make_federated: MakeFederated, make_lying: MakeLying) -> Scene:
    one = await make_federated()
    return Scene(one, await one.user("alice"), await make_lying())
