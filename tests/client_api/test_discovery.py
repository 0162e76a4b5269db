"""What a client asks before it does anything: where the server is, which versions it speaks, what it lets users do."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import ClientSession

from client_api import capabilities, versions, wellknown
from protocol.ids import UserID
from protocol.room_versions import ROOM_VERSIONS
from services.requester import Requester
from services.settings import Media, Settings
from tests.spec.response_schemas import response_class
from web.call import Call
from web.endpoint import routes_of
from web.router import Router
from web.serve import Site

SETTINGS = Settings("one", "https://matrix.one", Media(Path("media")), default_room_version="11")


async def _alice(call: Call[Any, Any]) -> Requester:
    return Requester(UserID("@alice:one"))


@asynccontextmanager
async def discovery(settings: Settings) -> AsyncIterator[ClientSession]:
    """A client of a server that has these endpoints only: they need nothing but the settings."""
    router = Router(e for module in (capabilities, versions, wellknown) for e in routes_of(module))
    tenant = SimpleNamespace(settings=settings)
    site: Site[Any, Any] = Site(router, {}, tenant, _alice, None, lambda served: None)
    server = site.server()
    listening = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    async with ClientSession(url, response_class=response_class()) as session:
        yield session
    listening.close()
    await server.shutdown(1)


async def test_a_server_name_leads_to_the_base_url() -> None:
    async with discovery(SETTINGS) as session, session.get("/.well-known/matrix/client") as response:
        assert await response.json() == {"m.homeserver": {"base_url": "https://matrix.one"}}
        assert response.headers["Access-Control-Allow-Origin"] == "*"


async def test_without_a_public_base_url_there_is_nothing_to_discover() -> None:
    settings = replace(SETTINGS, public_base_url="")
    async with discovery(settings) as session, session.get("/.well-known/matrix/client") as response:
        assert (response.status, (await response.json())["errcode"]) == (404, "M_NOT_FOUND")


@pytest.mark.parametrize("token", [None, "alice-token"])
async def test_versions_are_told_to_everybody(token: str | None) -> None:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with discovery(SETTINGS) as session:
        async with session.get("/_matrix/client/versions", headers=headers) as response:
            said = await response.json()
    # What matrix-js-sdk asks for at least, and what authenticated media needs.
    assert {"v1.1", "v1.11"} <= set(said["versions"])


async def test_capabilities_name_all_room_versions_and_the_configured_default() -> None:
    async with discovery(SETTINGS) as session:
        async with session.get(
            "/_matrix/client/v3/capabilities", headers={"Authorization": "Bearer x"}
        ) as response:
            said = (await response.json())["capabilities"]
    assert said["m.room_versions"]["default"] == "11"
    assert said["m.room_versions"]["available"] == dict.fromkeys(ROOM_VERSIONS, "stable")
    assert set(ROOM_VERSIONS) == {str(n) for n in range(1, 13)}
    assert said["m.change_password"] == {"enabled": True}
    assert said["m.3pid_changes"] == {"enabled": False}
