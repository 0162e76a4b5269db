"""A signed request to another server (§Request Authentication), and its answer as JSON."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlencode

import orjson
from aiohttp import ClientError, ClientResponse

from federation.client.bounded import Endless, read_within
from federation.client.connections import Connections
from federation.client.discovery import Discovery
from federation.client.pieces import parse_in_pieces
from protocol.errors import NotJson
from protocol.ids import ServerName
from protocol.json import JsonObject, canonical_lenient, parse, parse_exact
from protocol.signing import SigningKey
from services.ports import RemoteFailed
from services.settings import MIB

ERROR_LIMIT: Final = 64 * 1024
SMALL: Final = 1 * MIB
EVENTS: Final = 16 * MIB
"""Some hundreds of events of at most 64 KiB."""
STATE: Final = 256 * MIB
"""The state of a very large room, with its auth chain."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: `path` quoted, with its query; `body` is Canonical JSON; `limit` are bytes of the answer."""

    method: str
    path: str
    body: bytes | None = None
    limit: int = SMALL
    seconds: float | None = None
    """How long the answer is waited for; None: as configured."""
    has_events: bool = True
    """Then integers keep all their digits, however many; else they are such as we can hand on."""


class Requests:
    """Asks other servers in the name of this one."""

    def __init__(
        self, name: ServerName, key: SigningKey, discovery: Discovery, connections: Connections, timeout: int
    ) -> None:
        self.name = name
        self._key = key
        self._discovery = discovery
        self._connections = connections
        self._seconds = timeout / 1000

    async def ask(self, server: ServerName, question: Question, *, signed: bool = True) -> Any:
        """The JSON of a 2xx answer; raises RemoteFailed."""
        async with self.opened(server, question, signed=signed) as response:
            if response.status >= 300:
                raise await _refusal(server, response)
            raw = await read_within(response, question.limit)
            try:
                return await parse_in_pieces(raw, parse_exact if question.has_events else parse)
            except NotJson as error:
                raise RemoteFailed(server, response.status, None, f"answered nonsense: {error}") from None

    @asynccontextmanager
    async def opened(
        self, server: ServerName, question: Question, *, signed: bool = True
    ) -> AsyncIterator[ClientResponse]:
        """The answer of a server, or its redirect, to be read; raises RemoteFailed, also for what goes wrong while it
        is read."""
        headers = {"Accept": "application/json"}
        if question.body is not None:
            headers["Content-Type"] = "application/json"
        if signed:
            headers["Authorization"] = authorization(self._key, self.name, server, question)
        seconds = self._seconds if question.seconds is None else question.seconds
        try:
            async with asyncio.timeout(seconds):
                destination = await self._discovery.find(server)
            async with self._connections.request(
                question.method,
                destination,
                question.path,
                headers=headers,
                body=question.body,
                seconds=seconds,
            ) as response:
                if not 200 <= response.status < 400:
                    raise await _refusal(server, response)
                yield response
        except TimeoutError:
            raise RemoteFailed(server, None, None, "did not answer in time") from None
        except Endless as error:
            raise RemoteFailed(server, None, None, f"answered {error}") from None
        except (ClientError, OSError) as error:
            raise RemoteFailed(server, None, None, f"cannot be reached: {error}") from None


def authorization(
    key: SigningKey, origin: str, destination: str, question: Question, *, signed_name: str = "destination"
) -> str:
    """The X-Matrix header of a request; `signed_name` is the member that names the destination in what is signed."""
    signed = signed_object(
        question.method, question.path, origin, destination, question.body, signed_name=signed_name
    )
    signature = key.sign(signed)
    return f'X-Matrix origin="{origin}",destination="{destination}",key="{key.name}",sig="{signature}"'


def signed_object(
    method: str,
    uri: str,
    origin: str,
    destination: str,
    body: bytes | None,
    *,
    signed_name: str = "destination",
) -> bytes:
    """What is signed of a request, as Canonical JSON; `body` is Canonical JSON, None where there is none."""
    said: JsonObject = {"method": method, "uri": uri, "origin": origin, signed_name: destination}
    if body is not None:
        said["content"] = orjson.Fragment(body)
    return orjson.dumps(said, option=orjson.OPT_SORT_KEYS)


def path_of(*segments: str, query: Iterable[tuple[str, str]] = ()) -> str:
    """The first segment as it is, the others quoted; then the query."""
    first, *others = segments
    path = "/".join([first, *(quote(segment, safe="") for segment in others)])
    asked = urlencode(list(query), quote_via=quote, safe="")
    return f"{path}?{asked}" if asked else path


def body_of(content: JsonObject) -> bytes:
    """A request's body."""
    return canonical_lenient(content)


async def _refusal(server: ServerName, response: ClientResponse) -> RemoteFailed:
    try:
        said = parse_exact(await read_within(response, ERROR_LIMIT))
    except (NotJson, Endless):
        said = None
    body: JsonObject = said if isinstance(said, dict) else {}
    errcode, error = body.get("errcode"), body.get("error")
    return RemoteFailed(
        server,
        response.status,
        errcode if isinstance(errcode, str) else None,
        error if isinstance(error, str) else f"answered with status {response.status}",
        body,
    )
