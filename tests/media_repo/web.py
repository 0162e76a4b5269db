"""A small web: sites of a test, on ports 80 and 443 of names that only the test's own domain name system knows."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import Any

from aiohttp import web

from tests.fixtures.client import Client
from tests.fixtures.names import FakeNames

PATH = "/_matrix/client/v1/media/preview_url"
LOOPBACK = (ip_network("127.0.0.0/8"),)

Page = Callable[[web.BaseRequest], Any]


@dataclass
class Web:
    """Pages by host and path; `asked` are those that were asked for, `greeted` how often something was connected to."""

    names: FakeNames
    tls: ssl.SSLContext
    pages: dict[str, Any] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    languages: list[str | None] = field(default_factory=list)

    async def __aenter__(self) -> Web:
        self._runner = web.ServerRunner(web.Server(self._answer))
        await self._runner.setup()
        plain, secret = web.TCPSite(self._runner, "127.0.0.1", 0), None
        await plain.start()
        secret = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self.tls)
        await secret.start()
        self.http, self.https = (int(address[1]) for address in self._runner.addresses)
        for host in ("page.example", "www.page.example", "other.example", "denied.example", "täst.example"):
            self.knows(host)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    def knows(self, host: str, address: str = "127.0.0.1") -> None:
        """The name leads here, by both ports."""
        host = host.encode("idna").decode()
        self.names.leads(host, 80, self.http, address)
        self.names.leads(host, 443, self.https, address)

    def has(
        self, url: str, body: Any, content_type: str = "text/html; charset=utf-8", **headers: str
    ) -> None:
        """A page; a body that is a number is a status, one that is a function answers itself."""
        self.pages[url] = (body, {"Content-Type": content_type, **headers})

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        url = f"{request.headers['Host']}{request.raw_path}"
        self.asked.append(url)
        self.languages.append(request.headers.get("Accept-Language"))
        body, headers = self.pages.get(url, (404, {}))
        if callable(body):
            return await body(request)  # type: ignore[no-any-return]
        if isinstance(body, int):
            return web.Response(status=body, headers=headers)
        return web.Response(body=body.encode() if isinstance(body, str) else body, headers=headers)


async def look(client: Client, url: str, **more: Any) -> tuple[int, Any]:
    """Status and preview."""
    return await client.get(PATH, params={"url": url} | more)


async def seen(client: Client, url: str, **more: Any) -> Any:
    """The preview."""
    status, said = await look(client, url, **more)
    assert status == 200, said
    return said
