"""Where a server is and what it must prove to be, by real TLS connections and a fake DNS."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from ipaddress import ip_network
from typing import Any

import pytest
from aiohttp import web

from federation.client.discovery import Unresolvable, split
from protocol.ids import ServerName
from services.ports import RemoteFailed
from services.settings import DAY, HOUR, MINUTE
from tests.federation.reach import VERSION, Reach, reaching
from tests.fixtures.certificates import Authority
from tests.fixtures.federation import MakeLying, federation_settings
from tests.fixtures.lying_server import LyingServer

WELL_KNOWN = "/.well-known/matrix/server"


@pytest.fixture
async def reach(authority: Authority) -> AsyncIterator[Reach]:
    """Our client."""
    async with reaching(federation_settings(authority)) as reach:
        yield reach


def answers_its_version(server: LyingServer) -> None:
    """The server tells who it is."""
    server.on("GET", VERSION, lambda asked: {"host": asked.headers["Host"]})


async def server_for(make_lying: MakeLying, *names: str) -> LyingServer:
    """A server with a certificate for these names."""
    server = await make_lying(names=names, name=names[0])
    answers_its_version(server)
    return server


def delegates(reach: Reach, host: str, web_server: LyingServer, said: Any, **headers: str) -> None:
    """The host's /.well-known/matrix/server says so."""
    reach.names.leads(host, 443, web_server.port)

    def script(_: Any) -> web.Response:
        return web.json_response(said, headers=headers)

    web_server.on("GET", WELL_KNOWN, script)


# -- names with a port, and addresses


async def test_a_name_with_a_port_is_connected_to_directly(reach: Reach, make_lying: MakeLying) -> None:
    server = await server_for(make_lying, "a.example")
    reach.names.leads("a.example", 1234, server.port)
    assert await reach.ask("a.example:1234") == {"host": "a.example:1234"}
    assert reach.names.asked == ["a.example:1234"]  # no well-known, no service record
    assert server.greeted == ["a.example"]


async def test_an_address_proves_itself_as_that_address(reach: Reach, make_lying: MakeLying) -> None:
    server = await server_for(make_lying, "127.0.0.1")
    name = f"127.0.0.1:{server.port}"
    assert await reach.ask(name) == {"host": name}
    assert reach.names.asked == []
    assert server.greeted == [None]  # «no SNI» for addresses

    named = await server_for(make_lying, "localhost")
    with pytest.raises(RemoteFailed, match="certificate"):
        await reach.ask(f"127.0.0.1:{named.port}")


async def test_an_ipv6_address_does_too(authority: Authority, make_lying: MakeLying) -> None:
    server = await make_lying(names=("::1",), address="::1")
    answers_its_version(server)
    async with reaching(
        federation_settings(authority, allowed_private_networks=(ip_network("::1"),))
    ) as reach:
        name = f"[0::1]:{server.port}"
        assert await reach.ask(name) == {"host": name}
    assert server.greeted == [None]


@pytest.mark.parametrize("name", ["1.2.3.4", "[2a00:1450::5]", "[2a00:1450::5]:80", "a.example:80"])
async def test_ports_and_brackets_are_told_apart(reach: Reach, name: str) -> None:
    found = await reach.discovery.find(ServerName(name))
    assert found.host_header == name
    host, port = found.targets[0]
    assert (host, port) == (found.tls_name, 80 if name.endswith(":80") else 8448)
    assert "[" not in host


@pytest.mark.parametrize("name", ["a:b:c", "a.example:0", "a.example:65536", ":80"])
def test_what_is_no_server_name_leads_nowhere(name: str) -> None:
    with pytest.raises(Unresolvable):
        split(name)


@pytest.mark.parametrize(
    "name",
    [
        "", "a b", "a/b", "a\nb", ".a.example", "a..example", "-", "1.2.3", "999.999.999.999", "[:::]", "[1.2.3.4]", "xn--",
        "a" * 64 + ".example", "a.example.:1", "ä.example", "a%20b", "127.1:1", "0x7f000001:1", "[::1%25lo]", "a:99999",
    ],
)  # fmt: skip
async def test_strange_names_are_servers_that_cannot_be_reached(
    reach: Reach, make_lying: MakeLying, name: str
) -> None:
    server = await make_lying()
    host, _, port = name.partition(":")
    for known in (443, 8448, int(port) if port.isdigit() else 1):
        reach.names.leads(host, known, server.port)
    with pytest.raises(RemoteFailed) as failed:
        await reach.ask(name)
    assert failed.value.status is None
    assert server.asked == []


# -- well-known


async def test_a_host_may_point_to_another_with_a_port(reach: Reach, make_lying: MakeLying) -> None:
    site = await server_for(make_lying, "a.example")
    server = await server_for(make_lying, "matrix.example")
    delegates(reach, "a.example", site, {"m.server": "matrix.example:443"})
    reach.names.leads("matrix.example", 443, server.port)
    assert await reach.ask("a.example") == {"host": "matrix.example:443"}
    assert server.greeted == ["matrix.example"]


async def test_a_host_may_point_to_an_address(reach: Reach, make_lying: MakeLying) -> None:
    site, server = await server_for(make_lying, "a.example"), await server_for(make_lying, "127.0.0.1")
    delegates(reach, "a.example", site, {"m.server": f"127.0.0.1:{server.port}"})
    assert await reach.ask("a.example") == {"host": f"127.0.0.1:{server.port}"}


async def test_a_host_may_point_to_a_name_with_service_records(reach: Reach, make_lying: MakeLying) -> None:
    site, server = await server_for(make_lying, "a.example"), await server_for(make_lying, "b.example")
    delegates(reach, "a.example", site, {"m.server": "b.example"})
    reach.names.serves("_matrix-fed._tcp.b.example", "target.example", 777)
    reach.names.leads("target.example", 777, server.port)
    assert await reach.ask("a.example") == {"host": "b.example"}
    assert server.greeted == ["b.example"]  # «certificate for D», not for the target of the record


async def test_a_host_may_point_to_a_name_without_any(reach: Reach, make_lying: MakeLying) -> None:
    site, server = await server_for(make_lying, "a.example"), await server_for(make_lying, "b.example")
    delegates(reach, "a.example", site, {"m.server": "b.example"})
    reach.names.leads("b.example", 8448, server.port)
    assert await reach.ask("a.example") == {"host": "b.example"}


@pytest.mark.parametrize(
    "said",
    [
        {},
        [],
        {"m.server": 5},
        {"m.server": "not a name"},
        {"m.server": ""},
        {"m.server": "b.example", "x": "y" * 60_000},
    ],
)
async def test_nonsense_counts_as_absent(reach: Reach, make_lying: MakeLying, said: Any) -> None:
    site, server = await server_for(make_lying, "a.example"), await server_for(make_lying, "a.example")
    delegates(reach, "a.example", site, said)
    reach.names.leads("a.example", 8448, server.port)
    assert await reach.ask("a.example") == {"host": "a.example"}


async def test_redirects_are_followed_but_not_for_ever(reach: Reach, make_lying: MakeLying) -> None:
    site, server = await server_for(make_lying, "a.example"), await server_for(make_lying, "b.example")
    reach.names.leads("a.example", 443, site.port)
    reach.names.leads("a.example", 8448, server.port)
    reach.names.leads("b.example", 8448, server.port)

    def to(where: str) -> Any:
        return lambda _: web.Response(status=302, headers={"Location": where})

    site.on("GET", WELL_KNOWN, to("/elsewhere?x=1"))
    site.on("GET", "/elsewhere", lambda _: {"m.server": "b.example"})
    assert await reach.well_known.delegated("a.example") == "b.example"

    reach.clock.advance(3 * DAY)
    site.on("GET", "/elsewhere", to(WELL_KNOWN))
    assert await reach.well_known.delegated("a.example") is None
    assert site.times_asked(WELL_KNOWN) <= 10

    reach.clock.advance(3 * DAY)
    site.on("GET", WELL_KNOWN, to("http://a.example/plain"))
    assert await reach.well_known.delegated("a.example") is None
    assert site.times_asked("/plain") == 0


@pytest.mark.parametrize(
    ("control", "kept"),
    [
        ("max-age=600", 600_000),
        ('public, max-age="600"', 600_000),
        ("max-age=9999999", 2 * DAY),
        ("no-store", MINUTE),
    ],
)
async def test_an_answer_is_kept_as_long_as_it_says(
    reach: Reach, make_lying: MakeLying, control: str, kept: int
) -> None:
    site = await server_for(make_lying, "a.example")
    delegates(reach, "a.example", site, {"m.server": "b.example:1"}, **{"Cache-Control": control})
    await reach.well_known.delegated("a.example")
    reach.clock.advance(kept - 1)
    await reach.well_known.delegated("A.example")
    assert site.times_asked(WELL_KNOWN) == 1
    reach.clock.advance(1)
    await reach.well_known.delegated("a.example")
    assert site.times_asked(WELL_KNOWN) == 2


async def test_a_good_answer_outlives_a_failure_for_a_while(reach: Reach, make_lying: MakeLying) -> None:
    site = await server_for(make_lying, "a.example")
    delegates(reach, "a.example", site, {"m.server": "b.example:1"})
    assert await reach.well_known.delegated("a.example") == "b.example:1"
    site.on("GET", WELL_KNOWN, lambda _: (500, {}))
    reach.clock.advance(DAY)
    assert await reach.well_known.delegated("a.example") == "b.example:1"
    reach.clock.advance(DAY)
    assert await reach.well_known.delegated("a.example") is None


async def test_failures_are_remembered_longer_each_time_up_to_an_hour(
    reach: Reach, make_lying: MakeLying
) -> None:
    site = await server_for(make_lying, "a.example")
    reach.names.leads("a.example", 443, site.port)
    waits = []
    for _ in range(10):
        before = site.times_asked(WELL_KNOWN)
        waits.append(0)
        while site.times_asked(WELL_KNOWN) == before:
            assert await reach.well_known.delegated("a.example") is None
            reach.clock.advance(MINUTE)
            waits[-1] += 1
    assert waits[1:] == sorted(waits[1:])
    assert waits[-1] == HOUR // MINUTE


# -- service records


async def test_the_newer_service_record_goes_before_the_older(reach: Reach, make_lying: MakeLying) -> None:
    server = await server_for(make_lying, "a.example")
    reach.names.serves("_matrix._tcp.a.example", "old.example", 1)
    reach.names.leads("old.example", 1, server.port)
    assert await reach.ask("a.example") == {"host": "a.example"}
    reach.names.serves("_matrix-fed._tcp.a.example", "new.example", 2)
    reach.names.leads("new.example", 2, server.port)
    await reach.ask("a.example")
    assert reach.names.asked[-1] == "new.example:2"


async def test_the_next_target_is_tried_when_one_is_down(reach: Reach, make_lying: MakeLying) -> None:
    server, impostor = await server_for(make_lying, "a.example"), await server_for(make_lying, "b.example")
    record = "_matrix-fed._tcp.a.example"
    reach.names.serves(record, "third.example", 3, priority=30)
    reach.names.serves(record, "first.example", 1, priority=10)
    reach.names.serves(record, "second.example", 2, priority=20)
    reach.names.leads("first.example", 1, 9)  # nobody listens at the discard port
    reach.names.leads("second.example", 2, impostor.port)  # has no certificate for a.example
    reach.names.leads("third.example", 3, server.port)
    assert await reach.ask("a.example") == {"host": "a.example"}
    assert [name for name in reach.names.asked if ".example:" in name][-3:] == [
        "first.example:1",
        "second.example:2",
        "third.example:3",
    ]
    assert impostor.asked == []


async def test_equal_targets_are_chosen_by_weight(reach: Reach) -> None:
    record = "_matrix-fed._tcp.a.example"
    for target, weight in (("heavy", 30), ("light", 10), ("never", 0)):
        reach.names.serves(record, target, 1, weight=weight)
    first = Counter([(await reach.discovery.find(ServerName("a.example"))).targets[0][0] for _ in range(400)])
    assert 240 < first["heavy"] < 345
    assert first["never"] < 30


async def test_a_service_may_be_decidedly_absent(reach: Reach) -> None:
    reach.names.serves("_matrix-fed._tcp.a.example", "", 0)
    with pytest.raises(RemoteFailed, match="not available") as failed:
        await reach.ask("a.example")
    assert failed.value.status is None


async def test_a_certificate_for_the_target_alone_is_not_enough(reach: Reach, make_lying: MakeLying) -> None:
    server = await server_for(make_lying, "target.example")
    reach.names.serves("_matrix-fed._tcp.a.example", "target.example", 1)
    reach.names.leads("target.example", 1, server.port)
    with pytest.raises(RemoteFailed, match="certificate"):
        await reach.ask("a.example")
    assert server.asked == []
