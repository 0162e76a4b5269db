"""Hydrogen, a web client from npm, served to a browser from an origin of its own, as its users would have it."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web

from tests.peers.origin import origin

JS = Path(__file__).parent / "js"
PACKAGE = JS / "node_modules" / "hydrogen-view-sdk"
_OLM = JS / "node_modules" / "@matrix-org" / "olm"
_NAMED = "--alias:@matrix-org/olm/olm.js=./node_modules/another-json/another-json.js"  # olm comes by its own <script>


def bundled(folder: Path) -> Path:
    """The client in one file, made by esbuild."""
    made = folder / "app.js"
    command = [str(JS / "node_modules" / ".bin" / "esbuild"), "hydrogen/app.js", "--bundle", "--format=esm"]
    command += [
        f"--outfile={made}",
        '--define:process.env.NODE_ENV="production"',
        _NAMED,
        "--log-level=error",
    ]
    subprocess.run(command, cwd=JS, check=True)
    return made


@asynccontextmanager
async def hydrogen(folder: Path) -> AsyncIterator[str]:
    """Where a browser finds the client."""
    page = JS / "hydrogen" / "index.html"
    files = {
        "/": page,
        "/index.html": page,  # under this name its service worker asks for it, at a reload
        "/app.js": bundled(folder),
        "/sw.js": PACKAGE / "lib-build" / "sw.js",
    }
    app = web.Application()
    for path, file in files.items():
        app.router.add_get(path, _giving(file))
    app.router.add_static("/hydrogen-view-sdk", PACKAGE)
    app.router.add_static("/olm", _OLM)
    async with origin(app) as url:
        yield url


def _giving(file: Path):  # type: ignore[no-untyped-def]
    async def give(_: web.Request) -> web.FileResponse:
        return web.FileResponse(file, headers={"Cache-Control": "no-store"})

    return give
