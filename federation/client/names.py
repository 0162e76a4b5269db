"""Host names to addresses and service records, by the system's resolver and by DNS."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

LOOKUPS = 16
"""Host names that are looked up at the same time: each takes a thread."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a connection goes to."""

    address: str
    port: int


@dataclass(frozen=True, slots=True)
class Service:
    """A service record (RFC 2782)."""

    priority: int
    weight: int
    target: str
    port: int


class Names(Protocol):
    """The domain name system, as far as it is asked."""

    async def endpoints(self, host: str, port: int) -> Sequence[Endpoint]:
        """Where the host has this port; none when there is no such host."""

    async def services(self, name: str) -> Sequence[Service]:
        """The service records of a name such as `_matrix-fed._tcp.example.org`; none when there are none."""


class Services(Protocol):
    """What is asked for service records (service_records.py)."""

    async def of(self, name: str) -> Sequence[Service]:
        """Those of a name."""


class SystemNames:
    """The machine's resolver for hosts (with its hosts file), DNS for service records."""

    def __init__(self, records: Services | None = None) -> None:
        """`records` are asked for services; None: as the machine is configured."""
        self._threads = ThreadPoolExecutor(LOOKUPS, "names")
        self._records = records

    async def endpoints(self, host: str, port: int) -> Sequence[Endpoint]:
        """By getaddrinfo, on a thread of our own: slow names hold up only other names."""
        loop = asyncio.get_running_loop()
        try:
            found = await loop.run_in_executor(self._threads, _addresses, host, port)
        except (OSError, UnicodeError):
            return ()
        return [Endpoint(where[0], where[1]) for where in found]

    async def services(self, name: str) -> Sequence[Service]:
        """By DNS; a name server that fails is one that knows of none.

        The library is loaded, on a thread, when the first are asked for.
        """
        if self._records is None:
            asked = await asyncio.get_running_loop().run_in_executor(self._threads, _service_records)
            self._records = self._records or asked  # another may have been as fast
        return await self._records.of(name)

    def close(self) -> None:
        """Lookups that have not begun never will."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _service_records() -> Services:
    from federation.client.service_records import ServiceRecords

    return ServiceRecords()


def _addresses(host: str, port: int) -> list[tuple[str, int]]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    return [(str(where[0]), int(where[1])) for _, _, _, _, where in found]
