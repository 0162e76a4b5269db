"""HTTP to identity providers: to wherever the operator has said that they are, in private networks too."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from aiohttp import ClientError, ClientSession, ClientTimeout, DummyCookieJar, TCPConnector
from yarl import URL

from services.outside import MAX_ANSWER, Answer, Asked, OutsideFailed

TIMEOUT: Final = ClientTimeout(total=15.0, sock_connect=5.0)
PER_HOST: Final = 20


class UpstreamRequests:
    """Connections to a tenant's providers, none before the first is asked; redirects are not followed."""

    def __init__(self) -> None:
        self._session: ClientSession | None = None

    async def ask(self, asked: Asked) -> Answer:
        """The answer, whatever its status; raises OutsideFailed."""
        url = URL(asked.url, encoded=True)
        try:
            async with self._opened().request(
                asked.method,
                url,
                data=asked.body,
                headers=asked.headers,
                timeout=TIMEOUT,
                allow_redirects=False,
            ) as response:
                return Answer(response.status, await _body(response.content.iter_any()))
        except TimeoutError:
            raise OutsideFailed(f"{url.host} did not answer in time") from None
        except (ClientError, OSError, ValueError) as error:
            raise OutsideFailed(f"{url.host} cannot be asked: {error}") from None

    async def close(self) -> None:
        """Ends all connections."""
        if self._session is not None:
            await self._session.close()

    def _opened(self) -> ClientSession:
        if self._session is None:
            connector = TCPConnector(limit_per_host=PER_HOST)
            headers = {"User-Agent": "Hearth"}
            self._session = ClientSession(connector=connector, cookie_jar=DummyCookieJar(), headers=headers)
        return self._session


async def _body(chunks: AsyncIterator[bytes]) -> bytes:
    body = bytearray()
    async for chunk in chunks:
        body += chunk
        if len(body) > MAX_ANSWER:
            raise ValueError(f"it answers more than {MAX_ANSWER} bytes")
    return bytes(body)
