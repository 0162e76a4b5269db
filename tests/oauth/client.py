"""An OAuth client: registers, asks, exchanges, refreshes, as the RFCs have it."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from services.oauth.urls import ROOT
from tests.fixtures.client import Answer, Client
from tests.fixtures.homeserver import PASSWORD, Homeserver
from tests.oauth.browser import Browser, Page

METADATA: dict[str, Any] = {
    "client_name": "Tea <b>Chat</b>",
    "client_uri": "https://chat.example/",
    "redirect_uris": ["https://chat.example/back"],
    "grant_types": [
        "authorization_code",
        "refresh_token",
        "urn:ietf:params:oauth:grant-type:device_code",
    ],
    "response_types": ["code"],
    "token_endpoint_auth_method": "none",
    "application_type": "web",
}
VERIFIER = "v" * 64
CHALLENGE = urlsafe_b64encode(sha256(VERIFIER.encode()).digest()).decode().rstrip("=")
DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"


def scope(device_id: str = "TEACHATTER") -> str:
    return f"urn:matrix:client:api:* urn:matrix:client:device:{device_id}"


@dataclass
class OAuthClient:
    """A registered client."""

    homeserver: Homeserver
    client_id: str
    redirect_uri: str = METADATA["redirect_uris"][0]

    async def post(self, name: str, **fields: str) -> Answer:
        """Asks an endpoint of the provider."""
        return await self.homeserver.nobody().post(f"{ROOT}/{name}", data=fields)

    def query(self, **more: str | None) -> str:
        """What the authorisation endpoint is asked."""
        fields: dict[str, str | None] = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": self.redirect_uri,
            "scope": scope(),
            "state": "s/1 ",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
        }
        return urlencode({name: value for name, value in (fields | more).items() if value is not None})

    async def authorize(self, browser: Browser, name: str = "alice", **more: str | None) -> str:
        """The code, after the user has signed in (where needed) and said yes."""
        page = await browser.visit(f"authorize?{self.query(**more)}")
        if page.name == "login":
            page = await browser.log_in(name, PASSWORD)
        assert page.name == "authorize", page.text
        page = await browser.submit(answer="allow")
        return self.answered(page)["code"]

    def answered(self, page: Page) -> dict[str, str]:
        """What the browser has brought back."""
        assert page.left_for is not None, page.text
        assert page.left_for.startswith(self.redirect_uri), page.left_for
        parts = urlsplit(page.left_for)
        fields = parse_qs(parts.fragment or parts.query)
        return {name: values[0] for name, values in fields.items()}

    async def exchange(self, code: str, /, **more: str) -> Answer:
        """The code for tokens."""
        fields = {
            "grant_type": "authorization_code",
            "code": code,
            "client_id": self.client_id,
            "redirect_uri": self.redirect_uri,
            "code_verifier": VERIFIER,
        }
        return await self.post("token", **(fields | more))

    async def refresh(self, refresh_token: str, **more: str) -> Answer:
        """New tokens for a refresh token."""
        fields = {"grant_type": "refresh_token", "refresh_token": refresh_token, "client_id": self.client_id}
        return await self.post("token", **(fields | more))

    async def log_in(self, browser: Browser | None = None, **more: str | None) -> dict[str, Any]:
        """The tokens of alice."""
        code = await self.authorize(browser or Browser(self.homeserver), **more)
        status, tokens = await self.exchange(code)
        assert status == 200, tokens
        return dict(tokens)

    def matrix(self, tokens: dict[str, Any]) -> Client:
        """A client of the client-server API with the access token."""
        return Client(
            self.homeserver.session,
            self.homeserver.url,
            access_token=tokens["access_token"],
            password=PASSWORD,
        )


async def registered(homeserver: Homeserver, **more: Any) -> OAuthClient:
    """A client that has just registered."""
    status, said = await homeserver.nobody().post(f"{ROOT}/clients", METADATA | more)
    assert status == 201, said
    redirects = said["redirect_uris"]
    return OAuthClient(homeserver, said["client_id"], redirects[0] if redirects else "")
