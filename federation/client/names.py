"""Host names to addresses and service records, by the system's resolver and by DNS."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import dns.asyncresolver
import dns.exception
import dns.rdatatype
import dns.resolver

LOOKUPS = 16
"""Host names that are looked up at the same time: each takes a thread."""
SRV_SECONDS = 5.0


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


class SystemNames:
    """The machine's resolver for hosts (with its hosts file), DNS for service records, cached as long as they say."""

    def __init__(self, resolver: dns.asyncresolver.Resolver | None = None) -> None:
        """`resolver` asks for service records; None: as the machine is configured."""
        self._threads = ThreadPoolExecutor(LOOKUPS, "names")
        self._resolver = resolver

    async def endpoints(self, host: str, port: int) -> Sequence[Endpoint]:
        """By getaddrinfo, on a thread of our own: slow names hold up only other names."""
        loop = asyncio.get_running_loop()
        try:
            found = await loop.run_in_executor(self._threads, _addresses, host, port)
        except (OSError, UnicodeError):
            return ()
        return [Endpoint(where[0], where[1]) for where in found]

    async def services(self, name: str) -> Sequence[Service]:
        """By DNS; a name server that fails is one that knows of none."""
        try:
            if self._resolver is None:
                self._resolver = dns.asyncresolver.Resolver()
                self._resolver.cache = dns.resolver.LRUCache()
            answer = await self._resolver.resolve(
                name, dns.rdatatype.SRV, search=False, lifetime=SRV_SECONDS, raise_on_no_answer=False
            )
        except (dns.exception.DNSException, OSError, UnicodeError):
            return ()
        return [
            Service(record.priority, record.weight, str(record.target).rstrip("."), record.port)
            for record in answer.rrset or ()
        ]

    def close(self) -> None:
        """Lookups that have not begun never will."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _addresses(host: str, port: int) -> list[tuple[str, int]]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    return [(str(where[0]), int(where[1])) for _, _, _, _, where in found]
