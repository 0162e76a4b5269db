"""HTTPS to what is no homeserver, over connections of the same kind: nothing is opened before somebody is asked."""

from __future__ import annotations

from urllib.parse import urlsplit

from aiohttp import ClientError

from federation.client.bounded import Endless, read_within
from federation.client.connections import Connections
from federation.client.names import Names, SystemNames
from federation.client.request import Question, authorization
from federation.client.urls import destination_of
from protocol.signing import SigningKey
from services.outside import MAX_ANSWER, Answer, Asked, OutsideFailed
from services.settings import Settings

SECONDS = 20.0


class OutsideRequests:
    """Asks in the name of this server; `close` ends its connections."""

    def __init__(self, settings: Settings, key: SigningKey, names: Names | None) -> None:
        """`names` is the domain name system; None: the machine's."""
        self._settings = settings
        self._key = key
        self._names = names
        self._system: SystemNames | None = None
        self._opened: Connections | None = None

    async def ask(self, asked: Asked) -> Answer:
        """The answer; raises OutsideFailed."""
        try:
            destination, path = destination_of(asked.url)
            headers = {**asked.headers, **self._signature(asked, path)}
            async with self._connections().request(
                asked.method, destination, path, headers=headers, body=asked.body, seconds=SECONDS
            ) as response:
                return Answer(response.status, await read_within(response, MAX_ANSWER))
        except TimeoutError:
            raise OutsideFailed(f"{_host(asked.url)} did not answer in time") from None
        except (ClientError, OSError, Endless, ValueError) as error:
            raise OutsideFailed(f"{_host(asked.url)} cannot be asked ({type(error).__name__})") from None

    async def close(self) -> None:
        """Ends all connections."""
        if self._opened is not None:
            await self._opened.close()
        if self._system is not None:
            self._system.close()

    def _signature(self, asked: Asked, path: str) -> dict[str, str]:
        if asked.signed_for is None:
            return {}
        question, origin = Question(asked.method, path, asked.body), self._settings.server_name
        return {
            "Authorization": authorization(
                self._key, origin, asked.signed_for, question, signed_name=asked.signed_name
            )
        }

    def _connections(self) -> Connections:
        if self._opened is None:
            if self._names is None:
                self._names = self._system = SystemNames()
            self._opened = Connections(self._settings.federation, self._names)
        return self._opened


def _host(url: str) -> str:
    return urlsplit(url).netloc or "a server without a name"
