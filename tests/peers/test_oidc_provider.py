"""Logging in with an OpenID provider that we did not write: panva's oidc-provider, certified, under node."""

from __future__ import annotations

import asyncio
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urljoin

from aiohttp import ClientSession, CookieJar
from yarl import URL

from services.upstream.settings import Face, Mapping, OidcProvider, Upstream
from tests.fixtures.homeserver import MakeHomeserver
from tests.oauth.browser import _Reader
from tests.peers.peer import missing
from tests.upstream.scene import traveller

_JS = Path(__file__).parent / "js"
CLIENT, SECRET = "hearth", "a secret: of % ours"
CALLBACK = "https://one.example/_matrix/client/oauth2/upstream/corp/callback"


@asynccontextmanager
async def provider() -> AsyncIterator[str]:
    """The issuer, while it runs."""
    node = shutil.which("node")
    if node is None or not (_JS / "node_modules" / "oidc-provider").is_dir():
        missing("node with the packages of tests/peers/js is not there")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(node), "oidc_provider.mjs", str(port), CLIENT, SECRET, CALLBACK]
    out = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *command, cwd=_JS, stdout=out, stderr=asyncio.subprocess.DEVNULL
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(60):
            while b"ready" not in (line := await process.stdout.readline()):
                assert line, "it has ended"
        yield f"http://127.0.0.1:{port}"
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def through_its_pages(session: ClientSession, url: str, name: str) -> str:
    """Signs in and consents on the provider's pages; the address of ours to which it leads."""
    method, form = "GET", None
    for _ in range(20):
        if url.startswith(CALLBACK):
            return url
        async with session.request(
            method, URL(url, encoded=True), data=form, allow_redirects=False
        ) as response:
            text = await response.text()
            assert response.status in (200, 302, 303), text
            if response.status != 200:
                method, form, url = "GET", None, urljoin(url, response.headers["Location"])
                continue
        page = _Reader()
        page.feed(text)
        assert page.forms, text
        method, form = "POST", page.forms[0].fields
        form |= {"login": name, "password": "any"} if "login" in form else {}
        url = urljoin(url, page.forms[0].action)
    raise AssertionError("it leads nowhere")


async def test_people_of_a_real_provider_log_in(make_homeserver: MakeHomeserver) -> None:
    async with provider() as issuer, ClientSession(cookie_jar=CookieJar(unsafe=True)) as session:
        mapping = Mapping("{preferred_username}")
        corp = OidcProvider(Face("corp", "Corporation"), issuer, CLIENT, mapping, SECRET, userinfo=True)
        homeserver = await make_homeserver(upstream=Upstream((corp,)))
        person = traveller(homeserver)
        back = await through_its_pages(session, await person.begin(), "erin")
        page = await person.browser.open(back)
        assert page.name == "sso", page.text
        assert await person.logged_in() == "@erin:one.example"
        profile = await homeserver.nobody().ok("GET", "profile/@erin:one.example")
        assert profile["displayname"] == "Erin"
        # What was used is refused there as well.
        assert (await person.browser.open(back)).status == 403
        # It knows the browser, and asks again only because we want it to.
        page = await person.browser.visit("upstream?provider=corp&again=")
        back = await through_its_pages(session, page.left_for or "", "erin")
        page = await person.browser.open(back)
        assert page.name == "account", page.text
