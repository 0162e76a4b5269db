"""FCM, APNs, their OAuth server and a Web Push service as the gateway meets them: HTTP/2 and HTTP/1.1 by hypercorn, with TLS.

They check what they are sent as the real ones do: signatures, headers, sizes.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from hypercorn.asyncio import serve
from hypercorn.config import Config
from joserfc import jwt
from joserfc.errors import JoseError

from tests.fixtures.certificates import Authority
from tests.fixtures.live import free_port

Json = dict[str, Any]


@dataclass(frozen=True)
class Asked:
    """A request that came."""

    path: str
    headers: dict[str, str]
    body: bytes
    http: str
    connection: tuple[str, int]

    @property
    def json(self) -> Any:
        """Its body."""
        return json.loads(self.body)


Answer = tuple[int, dict[str, str], bytes]


@dataclass
class Provider:
    """A server at https://localhost:port."""

    port: int = field(default_factory=free_port)
    asked: list[Asked] = field(default_factory=list)
    answer: Callable[[Asked], Answer] = lambda _: (200, {}, b"{}")
    delay: asyncio.Event | None = None
    """Answers wait for it."""
    most: int = 0
    """How many requests there were at once."""
    _now: int = 0

    @property
    def url(self) -> str:
        """Where it is."""
        return f"https://localhost:{self.port}"

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """What hypercorn calls."""
        if scope["type"] != "http":
            return
        body, more = b"", True
        while more:
            part = await receive()
            body, more = body + part.get("body", b""), part.get("more_body", False)
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        asked = Asked(scope["path"], headers, body, scope["http_version"], tuple(scope["client"]))
        self.asked.append(asked)
        self._now += 1
        self.most = max(self.most, self._now)
        if self.delay is not None:
            await self.delay.wait()
        self._now -= 1
        status, said, text = self.answer(asked)
        raw = [(name.encode(), value.encode()) for name, value in said.items()]
        await send({"type": "http.response.start", "status": status, "headers": raw})
        await send({"type": "http.response.body", "body": text})


@asynccontextmanager
async def running(provider: Provider, authority: Authority, **settings: Any) -> AsyncIterator[Provider]:
    """It listens meanwhile; `settings` are hypercorn's."""
    issued, config, stop = authority.issue("localhost", "push.example"), Config(), asyncio.Event()
    config.bind = [f"127.0.0.1:{provider.port}"]
    config.certfile, config.keyfile = str(issued.certificate), str(issued.key)
    config.loglevel, config.graceful_timeout = "CRITICAL", 0.1
    for name, value in settings.items():
        setattr(config, name, value)
    task = asyncio.create_task(serve(provider, config, shutdown_trigger=stop.wait))  # type: ignore[arg-type]
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", provider.port)
            writer.close()
            break
        except OSError:
            await asyncio.sleep(0.01)
    try:
        yield provider
    finally:
        if provider.delay is not None:
            provider.delay.set()
        stop.set()
        await task


class OAuth:
    """What answers for Google: /token gives tokens for signed assertions, and pushes need one of them."""

    def __init__(self, key: Any, email: str, audience: str, now: Callable[[], int]) -> None:
        self.given: list[str] = []
        self.valid: set[str] = set()
        self.result: Answer = (200, {}, b'{"name": "projects/p/messages/1"}')
        self._key, self._email, self._audience, self._now = key, email, audience, now

    def __call__(self, asked: Asked) -> Answer:
        """The answer, as Google gives it."""
        if asked.path == "/token":
            return self._token(asked)
        token = asked.headers["authorization"].removeprefix("Bearer ")
        if token not in self.valid:
            return 401, {}, b'{"error": {"status": "UNAUTHENTICATED"}}'
        return self.result

    def _token(self, asked: Asked) -> Answer:
        form = parse_qs(asked.body.decode())
        assert form["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
        try:
            token = jwt.decode(form["assertion"][0], self._key, algorithms=["RS256"])
        except JoseError:
            return 400, {}, b'{"error": "invalid_grant"}'
        claims, now = token.claims, self._now() // 1000
        assert claims["iss"] == self._email
        assert claims["aud"] == self._audience
        assert claims["scope"] == "https://www.googleapis.com/auth/firebase.messaging"
        assert claims["iat"] <= now + 5
        assert claims["exp"] - claims["iat"] <= 3600
        self.given.append(f"token-{len(self.given)}")
        self.valid = {self.given[-1]}
        return 200, {}, json.dumps({"access_token": self.given[-1], "expires_in": 3599}).encode()


class Apple:
    """What answers for Apple: a token signed with our key, and headers as documented."""

    def __init__(self, key: Any, now: Callable[[], int]) -> None:
        self.tokens: set[str] = set()
        self.result: Answer = (200, {}, b"")
        self._key, self._now = key, now

    def __call__(self, asked: Asked) -> Answer:
        """The answer, as Apple gives it."""
        token = asked.headers["authorization"].removeprefix("bearer ")
        try:
            said = jwt.decode(token, self._key, algorithms=["ES256"])
        except JoseError:
            return 403, {}, b'{"reason": "InvalidProviderToken"}'
        if said.header["kid"] != "KEY1234567" or said.claims["iss"] != "TEAM123456":
            return 403, {}, b'{"reason": "InvalidProviderToken"}'
        if not 0 <= self._now() // 1000 - said.claims["iat"] < 3600:
            return 403, {}, b'{"reason": "ExpiredProviderToken"}'
        self.tokens.add(token)
        if len(asked.body) > 4096:
            return 413, {}, b'{"reason": "PayloadTooLarge"}'
        if len(asked.headers["apns-collapse-id"].encode()) > 64:
            return 400, {}, b'{"reason": "BadCollapseId"}'
        return self.result
