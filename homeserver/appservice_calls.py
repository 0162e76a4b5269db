"""HTTP to application services: to wherever the operator has said that they are, with the hs_token."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import ClientError, ClientSession, ClientTimeout, DummyCookieJar, TCPConnector
from yarl import URL

from services.appservices.calls import Answer, Question, Unreachable
from services.appservices.registry import Appservice
from services.settings import MIB

CONNECT_SECONDS: Final = 10.0
KEPT_SECONDS: Final = 15.0
PER_HOST: Final = 20
MAX_ANSWER: Final = 4 * MIB
_REFUSED = (401, 403)
_UNKNOWN = (404, 405, 501)


class AppserviceCalls:
    """Connections to all application services of a tenant; `close` ends them.

    The endpoints of the specification are asked first, then what they were before (§Legacy routes), unless the
    application service has once answered to a new one. The token is in the header; where that is refused, and on
    the old paths, in the query as well: «encouraged to send it alongside the Authorization header».
    """

    def __init__(self) -> None:
        # Private addresses are allowed: the operator has written them down.
        connector = TCPConnector(limit=0, limit_per_host=PER_HOST, keepalive_timeout=KEPT_SECONDS)
        self._session = ClientSession(
            connector=connector, cookie_jar=DummyCookieJar(), headers={"User-Agent": "Hearth"}
        )
        self._modern: set[str] = set()
        self._by_query: set[str] = set()

    async def ask(self, appservice: Appservice, question: Question) -> Answer:
        """Its answer, whatever status that has; raises Unreachable."""
        name, is_new = appservice.id, appservice.id not in self._modern
        path, by_query = question.base + question.path, name in self._by_query
        answer = await self._ask(appservice, question, path, token_in_query=by_query)
        if is_new and not by_query and answer.status in _REFUSED:
            answer = await self._ask(appservice, question, path, token_in_query=True)
            if answer.is_ok:
                self._by_query.add(name)
        if answer.is_ok:
            self._modern.add(name)
        elif is_new and question.legacy is not None and answer.status in _UNKNOWN:
            return await self._ask(appservice, question, question.legacy, token_in_query=True)
        return answer

    async def _ask(
        self, appservice: Appservice, question: Question, path: str, *, token_in_query: bool
    ) -> Answer:
        assert appservice.url is not None
        query = list(question.query)
        if token_in_query:
            query.append(("access_token", appservice.hs_token))
        headers = {"Authorization": f"Bearer {appservice.hs_token}"}
        if question.body is not None:
            headers["Content-Type"] = "application/json"
        url = URL(appservice.url + path, encoded=True)
        if query:
            url = url.extend_query(query)
        timeout = ClientTimeout(total=question.seconds, sock_connect=CONNECT_SECONDS)
        try:
            async with self._session.request(
                question.method,
                url,
                data=question.body,
                headers=headers,
                timeout=timeout,
                allow_redirects=False,
            ) as response:
                return Answer(response.status, await _body(response.content.iter_any()))
        except TimeoutError:
            raise Unreachable("it does not answer in time", timed_out=True) from None
        except (ClientError, OSError, ValueError) as error:
            raise Unreachable(str(error) or type(error).__name__) from None

    async def close(self) -> None:
        """Ends all connections."""
        await self._session.close()


@asynccontextmanager
async def calling_appservices() -> AsyncIterator[AppserviceCalls]:
    """Application services can be asked; at the end all connections are closed."""
    calls = AppserviceCalls()
    try:
        yield calls
    finally:
        await calls.close()


async def _body(chunks: AsyncIterator[bytes]) -> bytes:
    body = bytearray()
    async for chunk in chunks:
        body += chunk
        if len(body) > MAX_ANSWER:
            raise ValueError(f"it answers more than {MAX_ANSWER} bytes")
    return bytes(body)
