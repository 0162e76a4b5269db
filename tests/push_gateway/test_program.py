"""The gateway as a person runs it: alone, from the command line, or inside a homeserver."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path

import aiohttp
import pytest

from homeserver.config import Api, ListenerConfig
from homeserver.config_load import load
from homeserver.config_source import ConfigError
from homeserver.listen import listening
from homeserver.push_gateway import gateway_of
from homeserver.routes import all_endpoints, api_of
from push_gateway.settings import Settings
from services.settings import Push
from services.tenant import SystemClock
from tests.fixtures.homeserver import Homeserver, MakeHomeserver
from tests.fixtures.live import free_port
from tests.fixtures.push_gateway import set_pusher
from tests.homeserver.test_serve import hearth
from tests.push_gateway.conftest import Cupertino
from tests.push_gateway.test_apns import KEY

APP = "org.example.ios"


def written(folder: Path, cupertino: Cupertino, port: int) -> Path:
    """A configuration file for the gateway alone."""
    file, app = folder / "gateway.yaml", cupertino.app
    file.write_text(f"""\
listeners:
  - {{port: {port}, apis: [push_gateway, metrics]}}
data_folder: {folder}/nothing
push_gateway:
  apps:
    - id: {APP}
      provider: apns
      credentials: {app.credentials}
      key_id: KEY1234567
      team_id: TEAM123456
      url: {app.url}
      ca_file: {app.ca_file}
""")
    return file


@asynccontextmanager
async def gateway_alone(file: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """`hearth push-gateway`, from when it says that it is up."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "homeserver", "push-gateway", "--config", str(file),
        stdout=asyncio.subprocess.PIPE, env=os.environ,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        assert b"is up" in await asyncio.wait_for(process.stdout.readline(), 60)
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 60) == 0


@pytest.fixture
def real_time(cupertino: Cupertino, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process of its own has the machine's clock, and so has Apple."""
    monkeypatch.setattr(cupertino.apple, "_now", SystemClock().now)


@pytest.mark.usefixtures("real_time")
async def test_alone_it_needs_no_database(tmp_path: Path, cupertino: Cupertino) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    body = {"notification": {"event_id": "$e", "devices": [{"app_id": APP, "pushkey": KEY}]}}
    async with gateway_alone(written(tmp_path, cupertino, port)), aiohttp.ClientSession() as session:
        async with session.post(f"{url}/_matrix/push/v1/notify", json=body) as reply:
            assert (reply.status, await reply.json()) == (200, {"rejected": []})
        async with session.get(f"{url}/_matrix/client/versions") as reply:
            assert reply.status == 404
        async with session.get(f"{url}/_hearth/metrics") as reply:
            line = f'hearth_push_gateway_pushes_total{{app="{APP}",outcome="delivered",provider="apns"}} 1.0'
            assert line in await reply.text()
    assert len(cupertino.provider.asked) == 1
    assert not (tmp_path / "nothing").exists()


@pytest.mark.usefixtures("real_time")
async def test_a_test_notification_is_sent_from_the_command_line(
    tmp_path: Path, cupertino: Cupertino
) -> None:
    file = str(written(tmp_path, cupertino, 0))
    arrived = await hearth("push-gateway", "--config", file, "test", APP, KEY)
    assert (arrived.status, arrived.said) == (0, "delivered\n")
    assert cupertino.provider.asked[0].json["aps"]["alert"]["body"] == "This is a test notification."

    cupertino.apple.result = 410, {}, b'{"reason": "Unregistered"}'
    gone = await hearth("push-gateway", "test", "--config", file, APP, KEY)
    assert (gone.status, gone.said) == (1, "rejected: 410 Unregistered\n")
    unknown = await hearth("push-gateway", "test", "--config", file, "org.example.none", KEY)
    assert "there is no such app here" in unknown.said


async def test_every_mistake_is_told_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "not-a-key").write_text("nonsense")
    (tmp_path / "account.json").write_text('{"project_id": "p"}')
    file = tmp_path / "gateway.yaml"
    file.write_text(f"""\
push_gateway:
  concurrency: 0
  apps:
    - {{id: a, provider: apns, credentials: {tmp_path}/not-a-key, key_id: K}}
    - {{id: "b.*", provider: fcm, credentials: {tmp_path}/account.json}}
    - {{id: c, provider: webpush, credentials: {tmp_path}/none}}
    - {{id: c, provider: pigeon, credentials: {tmp_path}/none, contact: "mailto:x@y"}}
""")
    with pytest.raises(ConfigError) as first:
        load(file, {})
    told = [str(one).removeprefix(f"{file}:") for one in first.value.problems]
    assert [one for one in told if one.startswith("2: push_gateway.concurrency must be")]
    assert [
        one for one in told if one.startswith("7: push_gateway.apps[4].provider must be") and "pigeon" in one
    ]


@pytest.mark.parametrize(
    ("app", "mistakes"),
    [
        (
            "{id: a, provider: apns, credentials: KEY}",
            ["needs key_id", "needs team_id", "is not a private key"],
        ),
        (
            "{id: 'a*', provider: apns, credentials: KEY, key_id: K, team_id: T}",
            ["needs topic", "is not a private key"],
        ),
        ("{id: a, provider: fcm, credentials: ACCOUNT}", ["has no client_email, private_key, token_uri"]),
        ("{id: a, provider: fcm, credentials: KEY}", ["is not JSON"]),
        ("{id: a, provider: webpush, credentials: NONE}", ["needs contact", "there is no file"]),
    ],
)
def test_credentials_that_cannot_be_used_are_told_before_anything_starts(
    tmp_path: Path, app: str, mistakes: list[str]
) -> None:
    (tmp_path / "not-a-key").write_text("nonsense")
    (tmp_path / "account.json").write_text('{"project_id": "p"}')
    for name, path in (("KEY", "not-a-key"), ("ACCOUNT", "account.json"), ("NONE", "none")):
        app = app.replace(f"credentials: {name}", f"credentials: {tmp_path / path}")
    file = tmp_path / "gateway.yaml"
    file.write_text(f"push_gateway:\n  apps:\n    - {app}\n")
    with pytest.raises(ConfigError) as caught:
        load(file, {})
    told = [str(one) for one in caught.value.problems]
    assert len(told) == len(mistakes)
    for said, expected in zip(told, mistakes, strict=True):
        assert said.startswith(f"{file}:3: push_gateway.apps[1] a")
        assert expected in said


def test_a_listener_for_nothing_is_a_mistake(tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text("listeners: [{port: 1, apis: [push_gateway]}]\n")
    with pytest.raises(ConfigError, match=r"push_gateway\.apps is empty"):
        load(file, {})


async def test_it_is_served_only_where_a_listener_says_so(homeserver: Homeserver) -> None:
    async with homeserver.session.post(f"{homeserver.url}/_matrix/push/v1/notify", json={}) as reply:
        assert reply.status == 404


async def test_inside_the_homeserver_bobs_phone_hears_what_alice_says(
    make_homeserver: MakeHomeserver, cupertino: Cupertino
) -> None:
    """From Alice's message, through Bob's pusher and our gateway, to what stands for Apple."""
    port = free_port()
    gateway_url = f"http://127.0.0.1:{port}/_matrix/push/v1/notify"
    homeserver = await make_homeserver(push=Push(private_gateways=(gateway_url,)))
    alice, bob = await homeserver.user("alice"), await homeserver.user("bob")
    async with gateway_of(
        Settings((cupertino.app,)),
        lambda _: None,
        private=(ip_network("127.0.0.0/8"),),
        now=cupertino.apple._now,
    ) as gateway:
        tenant = replace(homeserver.tenant, push_gateway=gateway)
        listener = ListenerConfig(port=port, apis=(Api.PUSH_GATEWAY,))
        async with listening(listener, all_endpoints(), [tenant], lambda _: None):
            room = await alice.ok(
                "POST", "createRoom", json={"preset": "private_chat", "invite": [bob.user_id]}
            )
            await bob.ok("POST", f"join/{room['room_id']}", json={})
            await set_pusher(bob, gateway_url, KEY, app_id=APP)
            content = {"msgtype": "m.text", "body": "hello bob"}
            path = f"rooms/{room['room_id']}/send/m.room.message/1"
            sent = await alice.ok("PUT", path, json=content)
            async with asyncio.timeout(60):
                while not cupertino.provider.asked:
                    await asyncio.sleep(0.02)
    told = cupertino.provider.asked[0].json
    assert told["event_id"] == sent["event_id"]
    assert told["aps"]["alert"]["body"] == "hello bob"
    assert told["aps"]["badge"] >= 1


def test_the_endpoint_is_of_the_push_gateway_api() -> None:
    (endpoint,) = [one for one in all_endpoints() if api_of(one) is Api.PUSH_GATEWAY]
    assert endpoint.path == "/_matrix/push/v1/notify"
