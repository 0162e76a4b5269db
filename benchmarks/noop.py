"""A server that does nothing, for the ceilings: `python -m benchmarks.noop aiohttp|hearth PORT`."""

from __future__ import annotations

import asyncio
import importlib
import pkgutil
import sys
from typing import Any

import uvloop
from aiohttp import web

import client_api
import media_repo
from web.endpoint import Auth, Endpoint, endpoint, routes_of
from web.router import Router
from web.serve import Site

PATH = "/_matrix/client/v3/rooms/{roomId}/noop/{txnId}"


@endpoint("PUT", PATH, auth=Auth.NONE)
async def noop(call: Any) -> dict[str, str]:
    """A constant."""
    return {"event_id": "$constant"}


def every_route() -> list[Endpoint]:
    """All that the client API and the media repository declare."""
    routes: list[Endpoint] = []
    for package in (client_api, media_repo):
        for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            routes += routes_of(importlib.import_module(module.name))
    return routes


async def _serve(kind: str, port: int) -> None:
    loop = asyncio.get_running_loop()
    if kind == "aiohttp":

        async def constant(_: web.Request) -> web.Response:
            return web.json_response({"event_id": "$constant"})

        application = web.Application()
        application.router.add_put(PATH, constant)
        runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
    else:
        noop_endpoint = noop.__endpoints__[0]  # type: ignore[attr-defined]
        router = Router([*every_route(), noop_endpoint])
        site: Site[Any, Any] = Site(router, {}, object(), _nobody, None, lambda served: None)
        await loop.create_server(site.server(), "127.0.0.1", port)
    print("ready", flush=True)
    await asyncio.Event().wait()


async def _nobody(call: Any) -> None:
    raise AssertionError("nothing here asks who it is")


if __name__ == "__main__":
    uvloop.run(_serve(sys.argv[1], int(sys.argv[2])))
