"""Cinny, a web client that scripts/cinny has built, served to a browser from an origin of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web

from tests.peers.origin import origin

BUILT = Path(__file__).parent / "built"


@asynccontextmanager
async def cinny(homeserver: str) -> AsyncIterator[str]:
    """Where a browser finds the client, which offers this homeserver (its address without the scheme) first."""
    app = web.Application()
    app.router.add_get("/config.json", _configured(homeserver))
    app.router.add_get("/{folder:.*}{path:olm\\.wasm}", _file)  # it asks beside whatever page it shows
    app.router.add_get("/{path:.*}", _file)
    async with origin(app) as url:
        yield url


def _configured(homeserver: str):  # type: ignore[no-untyped-def]
    config = {
        "defaultHomeserver": 0,
        "homeserverList": [homeserver],
        "allowCustomHomeservers": True,
        "featuredCommunities": {"openAsDefault": False, "spaces": [], "rooms": [], "servers": [homeserver]},
        "hashRouter": {"enabled": False, "basename": "/"},
    }

    async def give(_: web.Request) -> web.Response:
        return web.json_response(config)

    return give


async def _file(request: web.Request) -> web.FileResponse:
    """The file; the client itself where there is none, for it has pages of its own."""
    file = (BUILT / request.match_info["path"]).resolve()
    if not file.is_file() or BUILT.resolve() not in file.parents:
        file = BUILT / "index.html"
    return web.FileResponse(file)
