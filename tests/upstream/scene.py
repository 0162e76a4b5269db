"""A homeserver whose users come from an identity provider, and a browser that goes there and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from services.upstream.settings import Face, Mapping, OidcProvider, Upstream
from tests.fixtures.homeserver import Homeserver, MakeHomeserver
from tests.fixtures.oidc_provider import CLIENT, SECRET
from tests.fixtures.oidc_provider import OidcProvider as Peer
from tests.oauth.browser import Browser, Page

MAPPING = Mapping("{preferred_username}")
REDIRECT = "/_matrix/client/v3/login/sso/redirect"
TARGET = "https://old.example/app"


def configured(peer: Peer, name: str = "corp", mapping: Mapping = MAPPING, **more: Any) -> OidcProvider:
    """The provider as a homeserver knows it."""
    face = Face(name, "Corporation", "mxc://one.example/icon", "corp")
    return OidcProvider(face, peer.issuer, CLIENT, mapping, SECRET, **more)


async def scene(
    make_homeserver: MakeHomeserver, peer: Peer, *, mapping: Mapping = MAPPING, **more: Any
) -> Homeserver:
    """A homeserver with one provider."""
    upstream = Upstream((configured(peer, mapping=mapping, **more),))
    return await make_homeserver(upstream=upstream)


@dataclass
class Traveller:
    """A browser and the person before it."""

    homeserver: Homeserver
    browser: Browser

    async def begin(self, target: str = TARGET, provider: str = "corp") -> str:
        """As an old client sends it; the address at the provider to which it was sent on."""
        url = f"{self.browser.base}{REDIRECT}/{provider}?redirectUrl={quote(target, safe='')}"
        page = await self.browser.open(url)
        assert page.left_for is not None, page.html
        return page.left_for

    async def at_provider(self, url: str) -> str:
        """The provider knows who it is; the address of ours to which it sends the browser."""
        async with self.homeserver.session.get(url, allow_redirects=False) as response:
            assert response.status in (302, 303), await response.text()
            return response.headers["Location"]

    async def go(self, target: str = TARGET) -> Page:
        """All the way, to the question whether the client may have a token."""
        return await self.browser.open(await self.at_provider(await self.begin(target)))

    async def logged_in(self) -> str:
        """And to the end: the user ID with which the client is logged in."""
        page = await self.browser.submit(answer="allow")
        return await self.token_used(page)

    async def token_used(self, page: Page) -> str:
        """The user ID that the login token at the end of the way is good for."""
        token = parse_qs(urlsplit(page.left_for or "").query)["loginToken"][0]
        status, said = await self.homeserver.nobody().post("login", {"type": "m.login.token", "token": token})
        assert status == 200, said
        return str(said["user_id"])


def traveller(homeserver: Homeserver) -> Traveller:
    """Somebody with a new browser."""
    return Traveller(homeserver, Browser(homeserver))
