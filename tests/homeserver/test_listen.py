"""Listeners: which APIs are where, TLS, metrics, and how a server lets its clients go."""

from __future__ import annotations

import asyncio
import datetime
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import ClientSession
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from homeserver.config import Api, ListenerConfig
from homeserver.listen import listening
from homeserver.metrics import Metrics
from homeserver.routes import all_endpoints, api_of
from protocol.ids import UserID
from tests.fixtures.client import Client
from tests.fixtures.homeserver import Homeserver, endpoints
from web.serve import Served


@asynccontextmanager
async def listener_of(homeserver: Homeserver, config: ListenerConfig) -> AsyncIterator[str]:
    """A further listener of the homeserver; its URL."""
    metrics = Metrics()
    metrics.add_gauges(lambda: [("hearth_rooms", "Rooms.", homeserver.name, 7)])
    served = (*endpoints(), metrics.endpoint())

    def observe(one: Served) -> None:
        metrics.served(one)

    async with listening(config, served, [homeserver.tenant], observe) as url:
        yield url


@pytest.mark.parametrize(
    ("path", "api"),
    [
        ("/_matrix/client/versions", Api.CLIENT),
        ("/.well-known/matrix/client", Api.CLIENT),
        ("/_matrix/client/v1/media/download/{serverName}/{mediaId}", Api.MEDIA),
        ("/_matrix/media/v3/upload", Api.MEDIA),
        ("/_synapse/admin/v1/register", Api.ADMIN),
    ],
)
def test_each_endpoint_belongs_to_an_api(path: str, api: Api) -> None:
    (found,) = {api_of(endpoint) for endpoint in all_endpoints() if endpoint.path == path}
    assert found is api


async def test_a_listener_serves_its_apis_only(homeserver: Homeserver) -> None:
    async with listener_of(homeserver, ListenerConfig(port=0, apis=(Api.MEDIA,))) as url:
        client = Client(homeserver.session, url)
        assert (await client.get("/_matrix/client/versions"))[0] == 404
        assert (await client.get("/_matrix/client/v1/media/config"))[0] == 401
        assert (await client.get("/_hearth/metrics"))[0] == 404


async def test_metrics_are_served_where_they_are_asked_for(homeserver: Homeserver) -> None:
    both = ListenerConfig(port=0, apis=(Api.CLIENT, Api.METRICS))
    async with listener_of(homeserver, both) as url:
        client = Client(homeserver.session, url)
        await client.get("/_matrix/client/versions")
        await client.get("sync")
        status, text = await client.get("/_hearth/metrics")
    lines = text.decode().splitlines()
    assert status == 200
    assert 'hearth_requests_total{endpoint="get_versions",errcode="",status="200"} 1.0' in lines
    assert 'hearth_requests_total{endpoint="sync",errcode="M_MISSING_TOKEN",status="401"} 1.0' in lines
    assert 'hearth_request_seconds_bucket{endpoint="get_versions",le="+Inf"} 1.0' in lines
    assert 'hearth_request_seconds_count{endpoint="sync"} 1.0' in lines
    assert 'hearth_rooms{tenant="one.example"} 7.0' in lines
    assert any(line.startswith("process_resident_memory_bytes ") for line in lines)


def certificate(folder: Path) -> tuple[Path, Path]:
    """A self-signed certificate for localhost, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "tls.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "tls.key").write_bytes(key.private_bytes(*form))
    return folder / "tls.pem", folder / "tls.key"


async def test_a_listener_with_a_certificate_speaks_tls(homeserver: Homeserver, tmp_path: Path) -> None:
    file, key = certificate(tmp_path)
    config = ListenerConfig(address="localhost", port=0, tls_certificate=file, tls_key=key)
    trusting = ssl.create_default_context(cafile=str(file))
    async with listener_of(homeserver, config) as url, ClientSession() as session:
        assert url.startswith("https://localhost:")
        async with session.get(f"{url}/_matrix/client/versions", ssl=trusting) as response:
            assert response.status == 200


async def test_a_server_that_stops_does_not_wait_for_idle_clients(homeserver: Homeserver) -> None:
    async with ClientSession() as session:
        async with listener_of(homeserver, ListenerConfig(port=0)) as url:
            async with session.get(f"{url}/_matrix/client/versions") as response:
                assert response.status == 200  # and the connection is kept
            begun = time.monotonic()
        assert time.monotonic() - begun < 2


async def test_a_server_that_stops_answers_those_who_wait(homeserver: Homeserver) -> None:
    alice = await homeserver.user("alice")
    since = (await alice.sync())["next_batch"]
    async with listener_of(homeserver, ListenerConfig(port=0)) as url:
        waiting = Client(homeserver.session, url, access_token=alice.access_token, next_batch=since)
        answer = asyncio.create_task(waiting.get("sync", params={"since": since, "timeout": 60_000}))
        await _until_it_waits(homeserver, alice.user_id)
        begun = time.monotonic()
    assert time.monotonic() - begun < 5
    status, body = await answer
    assert (status, body["next_batch"]) == (200, since)


async def _until_it_waits(homeserver: Homeserver, user_id: str) -> None:
    listener = await homeserver.tenant.listeners.of(UserID(user_id))
    async with asyncio.timeout(10):
        while not listener.is_waited_for:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(("behind_proxy", "expected"), [(True, "203.0.113.9"), (False, "127.0.0.1")])
async def test_the_client_of_a_proxy_is_known_where_a_proxy_is(
    homeserver: Homeserver, behind_proxy: bool, expected: str
) -> None:
    """«X-Forwarded-For» is believed only where it was said that a proxy writes it, and only its last word."""
    alice = await homeserver.user("alice")
    async with listener_of(homeserver, ListenerConfig(port=0, behind_proxy=behind_proxy)) as url:
        client = Client(homeserver.session, url, headers={"X-Forwarded-For": "198.51.100.7, 203.0.113.9"})
        client.user_id, client.password = alice.user_id, alice.password
        device = await client.log_in()
        (seen,) = [
            one["last_seen_ip"]
            for one in (await alice.ok("GET", "devices"))["devices"]
            if one["device_id"] == device.device_id
        ]
    assert seen == expected


async def test_all_addresses_are_those_of_ipv4_too(homeserver: Homeserver) -> None:
    async with listener_of(homeserver, ListenerConfig(address="::", port=0)) as url:
        port = url.rpartition(":")[2]
        for host in ("127.0.0.1", "[::1]"):
            client = Client(homeserver.session, f"http://{host}:{port}")
            assert (await client.get("/_matrix/client/versions"))[0] == 200
