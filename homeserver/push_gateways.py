"""HTTP to push gateways: to strangers' as to any server outside, and to those that the operator has named directly; with the
secret that a gateway asks for.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from aiohttp import ClientError, ClientSession, ClientTimeout, DummyCookieJar, TCPConnector

from services.outside import MAX_ANSWER, Answer, Asked, Outside, OutsideFailed
from services.settings import Push

SECONDS: Final = 20.0
CONNECT_SECONDS: Final = 10.0
KEPT_SECONDS: Final = 30.0
PER_HOST: Final = 64


class PushGateways:
    """Asks them; `close` ends the connections to those that were named."""

    def __init__(self, settings: Push, outside: Outside) -> None:
        """What it names are whole URLs, wherever they lead."""
        self._named = frozenset(settings.private_gateways)
        self._secrets = settings.gateway_secrets
        self._outside = outside
        self._session: ClientSession | None = None

    async def ask(self, asked: Asked) -> Answer:
        """The answer; raises OutsideFailed."""
        secret = self._secrets.get(asked.url)
        if secret is not None:
            asked = replace(asked, headers={**asked.headers, "Authorization": f"Bearer {secret}"})
        if asked.url not in self._named:
            return await self._outside.ask(asked)
        if self._session is None:
            connector = TCPConnector(limit=0, limit_per_host=PER_HOST, keepalive_timeout=KEPT_SECONDS)
            self._session = ClientSession(
                connector=connector, cookie_jar=DummyCookieJar(), headers={"User-Agent": "Hearth"}
            )
        timeout = ClientTimeout(total=SECONDS, sock_connect=CONNECT_SECONDS)
        try:
            async with self._session.request(
                asked.method,
                asked.url,
                data=asked.body,
                headers=asked.headers,
                timeout=timeout,
                allow_redirects=False,
            ) as response:
                body = await response.content.read(MAX_ANSWER)
                return Answer(response.status, body)
        except TimeoutError:
            raise OutsideFailed(f"{asked.url} did not answer in time") from None
        except (ClientError, OSError, ValueError) as error:
            raise OutsideFailed(
                f"{asked.url} cannot be asked: {str(error) or type(error).__name__}"
            ) from None

    async def close(self) -> None:
        """Ends all connections."""
        if self._session is not None:
            await self._session.close()
