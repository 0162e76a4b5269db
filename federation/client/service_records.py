"""Service records (RFC 2782) by DNS: a module of its own, for whoever has asked for none need not have its library (3 MiB)."""

from __future__ import annotations

from collections.abc import Sequence

import dns.asyncresolver
import dns.exception
import dns.rdatatype
import dns.resolver

from federation.client.names import Service

SRV_SECONDS = 5.0


class ServiceRecords:
    """What name servers say, cached as long as they say."""

    def __init__(self, resolver: dns.asyncresolver.Resolver | None = None) -> None:
        """`resolver` asks; None: one as the machine is configured."""
        self._resolver = resolver

    async def of(self, name: str) -> Sequence[Service]:
        """The records of a name; a name server that fails is one that knows of none."""
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
