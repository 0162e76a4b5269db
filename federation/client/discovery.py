"""From a server's name to where it is and what it must prove to be (§Resolving server names)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, Protocol

from federation.client.addresses import as_ip
from federation.client.connections import Destination
from federation.client.names import Names, Service
from protocol.errors import InvalidId
from protocol.ids import ServerName, parse_server_name
from services.tenant import Random

DEFAULT_PORT: Final = 8448
MAX_TARGETS: Final = 10
_SERVICES: Final = ("_matrix-fed._tcp.", "_matrix._tcp.")  # the second is deprecated, and older
_HOST_AND_PORT = re.compile(r"(\[[^\]]+\]|[^:]+)(?::([0-9]{1,5}))?")


class Unresolvable(OSError):
    """The name leads nowhere: it is none, or its service records say that there is no such service."""


class Delegations(Protocol):
    """What hosts say in /.well-known/matrix/server."""

    async def delegated(self, host: str) -> ServerName | None:
        """The name that the host points to; None when it says nothing valid."""


class Discovery:
    """Finds servers."""

    def __init__(self, names: Names, delegations: Delegations, random: Random) -> None:
        self._names = names
        self._delegations = delegations
        self._random = random

    async def find(self, server: ServerName) -> Destination:
        """Where the server is; raises Unresolvable. It is not said that anybody is there."""
        host, port = split(server)
        if as_ip(host) is not None or port is not None:
            return _direct(server, host, port)
        delegated = await self._delegations.delegated(host)
        if delegated is None:
            return await self._by_services(server, host)
        other, other_port = split(delegated)
        if as_ip(other) is not None or other_port is not None:
            return _direct(delegated, other, other_port)
        return await self._by_services(delegated, other)

    async def _by_services(self, name: ServerName, host: str) -> Destination:
        for prefix in _SERVICES:
            records = await self._names.services(prefix + host)
            if records:
                return Destination(self._in_order(records), name, host)
        return Destination([(host, DEFAULT_PORT)], name, host)

    def _in_order(self, records: Sequence[Service]) -> list[tuple[str, int]]:
        """Lowest priority first; among equals by chance, as their weights say (RFC 2782)."""
        if all(record.target in ("", ".") for record in records):
            raise Unresolvable("the service is decidedly not available at this domain")
        left = sorted(records, key=lambda record: record.priority)
        ordered: list[tuple[str, int]] = []
        while left and len(ordered) < MAX_TARGETS:
            best = [record for record in left if record.priority == left[0].priority]
            chosen = self._weighted(best)
            left.remove(chosen)
            ordered.append((chosen.target, chosen.port))
        return ordered

    def _weighted(self, records: Sequence[Service]) -> Service:
        at = int.from_bytes(self._random.bytes(4)) % (sum(record.weight for record in records) + 1)
        for record in sorted(records, key=lambda record: record.weight):
            at -= record.weight
            if at <= 0:
                return record
        return records[-1]


def split(name: str) -> tuple[str, int | None]:
    """Host and port of a server name; raises Unresolvable for what is none."""
    try:
        parse_server_name(name)
    except InvalidId as error:
        raise Unresolvable(str(error)) from None
    match = _HOST_AND_PORT.fullmatch(name)
    port = int(match[2]) if match and match[2] else None
    if match is None or (port is not None and not 0 < port < 65_536):
        raise Unresolvable(f"not a server name: {name!r}")
    return match[1], port


def _direct(name: str, host: str, port: int | None) -> Destination:
    bare = host.removeprefix("[").removesuffix("]")
    return Destination([(bare, port or DEFAULT_PORT)], name, bare)
