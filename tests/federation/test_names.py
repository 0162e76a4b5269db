"""The machine's resolver, and service records by a real DNS exchange."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import dns.asyncresolver
import dns.message
import dns.resolver
import dns.rrset
import pytest

from federation.client.names import Endpoint, Service, SystemNames
from federation.client.service_records import ServiceRecords


class NameServer(asyncio.DatagramProtocol):
    """Answers SRV questions over UDP."""

    def __init__(self) -> None:
        self.records: dict[str, list[str]] = {}
        self.asked: list[str] = []

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        question = dns.message.from_wire(data)
        name = question.question[0].name.to_text()
        self.asked.append(name)
        answer = dns.message.make_response(question)
        if name in self.records:
            answer.answer.append(dns.rrset.from_text_list(name, 60, "IN", "SRV", self.records[name]))
        self.transport.sendto(answer.to_wire(), addr)


@pytest.fixture
async def server() -> AsyncIterator[NameServer]:
    """A name server on this machine."""
    loop = asyncio.get_running_loop()
    transport, server = await loop.create_datagram_endpoint(NameServer, local_addr=("127.0.0.1", 0))
    yield server
    transport.close()


@pytest.fixture
async def names(server: NameServer) -> AsyncIterator[SystemNames]:
    """What asks it."""
    resolver = dns.asyncresolver.Resolver(configure=False)
    resolver.nameservers = ["127.0.0.1"]
    resolver.port = server.transport.get_extra_info("sockname")[1]
    resolver.cache = dns.resolver.LRUCache()
    names = SystemNames(ServiceRecords(resolver))
    yield names
    names.close()


async def test_service_records_are_read_and_kept_as_long_as_they_say(
    server: NameServer, names: SystemNames
) -> None:
    server.records["_matrix-fed._tcp.a.example."] = ["10 5 8448 one.example.", "20 0 443 two.example."]
    for _ in range(2):
        assert sorted(await names.services("_matrix-fed._tcp.a.example"), key=lambda s: s.priority) == [
            Service(10, 5, "one.example", 8448),
            Service(20, 0, "two.example", 443),
        ]
    assert server.asked == ["_matrix-fed._tcp.a.example."]


async def test_no_records_are_none(server: NameServer, names: SystemNames) -> None:
    assert await names.services("_matrix-fed._tcp.b.example") == []
    assert await names.services("a" * 64 + ".example") == ()
    server.records["_matrix-fed._tcp.c.example."] = ["0 0 0 ."]
    assert await names.services("_matrix-fed._tcp.c.example") == [Service(0, 0, "", 0)]


async def test_hosts_are_looked_up_where_the_machine_does(names: SystemNames) -> None:
    assert Endpoint("127.0.0.1", 5) in await names.endpoints("localhost", 5)
    for host in ("", "a" * 64 + ".example", "nowhere.invalid"):
        assert await names.endpoints(host, 5) == ()
