"""/.well-known/matrix/server of other hosts: fetched within limits, and remembered as long as it says."""

from __future__ import annotations

import asyncio
import re
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final
from urllib.parse import urljoin

from aiohttp import ClientError, ClientResponse

from federation.client.asking import cancelled
from federation.client.bounded import Endless, read_within
from federation.client.connections import Connections
from federation.client.urls import destination_of
from protocol.errors import InvalidId, NotJson
from protocol.ids import ServerName, parse_server_name
from protocol.json import parse
from services.settings import DAY, HOUR, MINUTE
from services.tenant import Clock

MAX_BODY: Final = 50 * 1024
MAX_REDIRECTS: Final = 10
SECONDS: Final = 30.0
USUAL_AGE: Final = DAY
MOST_AGE: Final = 2 * DAY
LEAST_AGE: Final = MINUTE
GRACE: Final = DAY
"""How long a good answer is still used when no newer one can be had."""
LONGEST_BACKOFF: Final = HOUR
MAX_HOSTS: Final = 20_000
_REDIRECTS: Final = (301, 302, 303, 307, 308)
_MAX_AGE = re.compile(r"max-age\s*=\s*\"?(\d{1,12})")
_PATH: Final = "/.well-known/matrix/server"


@dataclass(frozen=True, slots=True)
class Known:
    """What a host said: ask again after `fresh_until`; `good_until` is 0 for one that never said anything valid."""

    delegated: ServerName | None
    fresh_until: int
    good_until: int = 0
    failures: int = 0


class WellKnown:
    """Asks hosts, each once at a time, and remembers."""

    def __init__(self, connections: Connections, clock: Clock) -> None:
        self._connections = connections
        self._clock = clock
        self._known: OrderedDict[str, Known] = OrderedDict()
        self._asking: dict[str, asyncio.Task[Known]] = {}

    async def delegated(self, host: str) -> ServerName | None:
        """The name that the host points to; None when it says nothing valid."""
        host = host.lower()
        known = self._known.get(host)
        if known is None or known.fresh_until <= self._clock.now():
            known = await self._asked(host)
        self._known.move_to_end(host)
        return known.delegated

    async def close(self) -> None:
        """Ends what is being asked."""
        await cancelled(self._asking.values())

    async def _asked(self, host: str) -> Known:
        task = self._asking.get(host)
        if task is None:
            task = self._asking[host] = asyncio.create_task(self._ask(host), name=f"well-known of {host}")
            task.add_done_callback(lambda _: self._asking.pop(host, None))
        return await asyncio.shield(task)

    async def _ask(self, host: str) -> Known:
        before = self._known.get(host)
        try:
            answer, age = await self._fetch(host)
            now = self._clock.now()
            known = Known(answer, now + age, now + age + GRACE)
        except (ClientError, OSError, TimeoutError, ValueError, NotJson, InvalidId, Endless):
            known = self._failed(before)
        self._known[host] = known
        if len(self._known) > MAX_HOSTS:
            self._known.popitem(last=False)
        return known

    def _failed(self, before: Known | None) -> Known:
        now = self._clock.now()
        failures = before.failures + 1 if before else 1
        again = now + min(MINUTE * 2 ** min(failures - 1, 10), LONGEST_BACKOFF)
        if before is not None and before.good_until > now:
            return Known(before.delegated, again, before.good_until, failures)
        return Known(None, again, failures=failures)

    async def _fetch(self, host: str) -> tuple[ServerName, int]:
        """What the host says, and for how long (ms); raises when it says nothing valid."""
        url = f"https://{host}{_PATH}"
        for _ in range(MAX_REDIRECTS + 1):
            destination, path = destination_of(url)
            async with self._connections.request(
                "GET", destination, path, headers={"Accept": "application/json"}, seconds=SECONDS
            ) as response:
                if response.status in _REDIRECTS:
                    url = urljoin(url, response.headers.get("Location", ""))
                    continue
                if response.status != 200:
                    raise ValueError(f"status {response.status}")
                return _server_in(await read_within(response, MAX_BODY)), _age(response)
        raise ValueError("too many redirects")


def _server_in(body: bytes) -> ServerName:
    said = parse(body)
    if not isinstance(said, dict) or not isinstance(said.get("m.server"), str):
        raise ValueError("no m.server")
    return parse_server_name(said["m.server"])


def _age(response: ClientResponse) -> int:
    control = ",".join(response.headers.getall("Cache-Control", ())).lower()
    if "no-store" in control or "no-cache" in control:
        return LEAST_AGE
    match = _MAX_AGE.search(control)
    return min(max(int(match[1]) * 1000, LEAST_AGE), MOST_AGE) if match else USUAL_AGE
