"""Strangers choose names; what only we can reach they do not reach through us."""

from __future__ import annotations

from collections.abc import AsyncIterator
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from aiohttp import web

from federation.client.addresses import Guard, as_ip
from federation.client.media import RemoteMedia
from protocol.ids import ServerName
from services.ports import RemoteFailed
from services.settings import DAY
from tests.federation.reach import VERSION, Reach, reaching
from tests.fixtures.certificates import Authority
from tests.fixtures.federation import MakeLying, federation_settings
from tests.fixtures.lying_server import LyingServer

FORBIDDEN = [
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "127.0.0.1", "127.255.255.254", "169.254.169.254", "172.16.0.1",
    "172.31.255.255", "192.0.0.1", "192.0.2.1", "192.168.1.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1",
    "240.0.0.1", "255.255.255.255",
    "::", "::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "64:ff9b::127.0.0.1", "64:ff9b:1::10.0.0.1",
    "2002:7f00:1::", "2002:a9fe:a9fe::1", "2001:0:7f00:1:0:0:80ff:fffe", "2001:db8::1", "fc00::1", "fd12::1", "fe80::1",
    "fec0::1", "ff02::1", "100::1", "3fff::1",
]  # fmt: skip
PERMITTED = [
    "1.1.1.1",
    "172.32.0.1",
    "2606:4700::1111",
    "::ffff:1.1.1.1",
    "64:ff9b::1.1.1.1",
    "2002:101:101::1",
]


@pytest.mark.parametrize("address", FORBIDDEN)
def test_what_is_not_of_the_internet_is_not_connected_to(address: str) -> None:
    assert not Guard().permits(ip_address(address))


@pytest.mark.parametrize("address", PERMITTED)
def test_what_is_of_the_internet_is(address: str) -> None:
    assert Guard().permits(ip_address(address))


def test_private_networks_may_be_allowed_one_by_one() -> None:
    guard = Guard([ip_network("10.1.0.0/16"), ip_network("fd00:1::/32")])
    for address in ("10.1.2.3", "::ffff:10.1.2.3", "fd00:1::5", "1.1.1.1"):
        assert guard.permits(ip_address(address))
    for address in ("10.2.0.1", "127.0.0.1", "fd00:2::5"):
        assert not guard.permits(ip_address(address))


def test_an_address_of_one_link_is_none() -> None:
    assert as_ip("fe80::1%eth0") is None
    assert as_ip("[::1]") == ip_address("::1")
    assert as_ip("127.1") is None  # a name, for the resolver


@pytest.fixture
async def strict(authority: Authority) -> AsyncIterator[Reach]:
    """A client for which the loopback network is as forbidden as it usually is."""
    async with reaching(federation_settings(authority, allowed_private_networks=())) as reach:
        yield reach


@pytest.fixture
async def inside(make_lying: MakeLying) -> LyingServer:
    """A server that only this machine can reach."""
    server = await make_lying(names=("a.example", "127.0.0.1", "localhost", "inside.example"))
    server.on("GET", VERSION, lambda _: {"secret": True})
    return server


async def test_neither_as_an_address_nor_behind_a_name_nor_a_record(
    strict: Reach, inside: LyingServer
) -> None:
    strict.names.leads("a.example", 1, inside.port)
    strict.names.leads("mapped.example", 1, inside.port, "::ffff:127.0.0.1")
    strict.names.serves("_matrix-fed._tcp.b.example", "a.example", 1)
    strict.names.serves("_matrix-fed._tcp.c.example", "127.0.0.1", inside.port)
    for name in (
        f"127.0.0.1:{inside.port}",
        f"[::ffff:127.0.0.1]:{inside.port}",
        "a.example:1",
        "mapped.example:1",
        "b.example",
        "c.example",
    ):
        with pytest.raises(RemoteFailed) as failed:
            await strict.ask(name)
        assert failed.value.status is None
    assert inside.greeted == []  # not even a connection


@pytest.fixture
async def lax(authority: Authority) -> AsyncIterator[Reach]:
    """A client that may go to 127.0.0.1, but not to the rest of that network."""
    settings = federation_settings(authority, allowed_private_networks=(ip_network("127.0.0.1/32"),))
    async with reaching(settings) as reach:
        yield reach


async def test_nor_by_a_redirect(lax: Reach, inside: LyingServer) -> None:
    lax.names.leads("a.example", 443, inside.port)
    for where in (
        f"https://127.0.0.2:{inside.port}/x",
        "https://inside.example/x",
        f"https://[::1]:{inside.port}/x",
    ):
        lax.names.leads("inside.example", 443, inside.port, "127.0.0.2")
        redirect = web.Response(status=302, headers={"Location": where})
        inside.on("GET", "/.well-known/matrix/server", lambda _, redirect=redirect: redirect)
        lax.clock.advance(3 * DAY)
        assert await lax.well_known.delegated("a.example") is None
    assert inside.times_asked("/.well-known") == 3
    assert inside.times_asked("/x") == 0


async def test_what_was_checked_is_what_is_connected_to(lax: Reach, inside: LyingServer) -> None:
    """A name that means something harmless when it is checked and something else afterwards gains nothing."""
    lax.names.leads("a.example", 1, inside.port)
    assert await lax.ask("a.example:1") == {"secret": True}
    assert lax.names.asked == ["a.example:1"]  # there is no second look-up


async def test_only_the_permitted_ones_of_several_addresses_are_used(lax: Reach, inside: LyingServer) -> None:
    lax.names.leads("a.example", 1, inside.port, "::1")
    lax.names.leads("a.example", 1, inside.port, "127.0.0.2")
    lax.names.leads("a.example", 1, inside.port, "127.0.0.1")
    assert await lax.ask("a.example:1") == {"secret": True}


async def test_files_are_not_fetched_from_inside_either(lax: Reach, inside: LyingServer) -> None:
    media = RemoteMedia(lax.requests, lax.connections)
    lax.names.leads("a.example", 1, inside.port)

    def elsewhere(_: Any) -> web.Response:
        parts = (
            "--b\r\nContent-Type: application/json\r\n\r\n{}\r\n"
            f"--b\r\nLocation: https://127.0.0.2:{inside.port}/x\r\n\r\n\r\n--b--\r\n"
        )
        headers = {"Content-Type": "multipart/mixed; boundary=b"}
        return web.Response(body=parts.encode(), headers=headers)

    inside.on("GET", "/_matrix/federation/v1/media/download/m", elsewhere)
    with pytest.raises(RemoteFailed):
        async with media.download(ServerName("a.example:1"), "m", 1000):
            pass
    assert inside.times_asked("/x") == 0
