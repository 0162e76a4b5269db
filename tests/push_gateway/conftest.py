"""A gateway in the test's process, asked over HTTP, with providers of the test's own."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc.jwk import ECKey, RSAKey

from homeserver.config import Api, ListenerConfig
from homeserver.listen import serving
from homeserver.push_gateway import Alone, gateway_of
from push_gateway.gateway import Gateway
from push_gateway.settings import App, Provider, Settings
from services.observations import Observation
from tests.fixtures.certificates import Authority
from tests.fixtures.names import FakeNames
from tests.fixtures.time import FakeClock
from tests.push_gateway.providers import Apple, OAuth
from tests.push_gateway.providers import Provider as FakeProvider
from tests.push_gateway.providers import running as running_provider
from tests.spec.response_schemas import response_class
from web.endpoint import routes_of
from web.router import Router
from web.serve import Served, Site

Json = dict[str, Any]
EMAIL = "pusher@project.iam.gserviceaccount.com"
LISTENER = ListenerConfig(port=0, apis=(Api.PUSH_GATEWAY,))


@dataclass
class Running:
    """A gateway that listens."""

    gateway: Gateway
    url: str
    session: ClientSession
    observed: list[Observation]
    served: list[Served]
    names: FakeNames
    clock: FakeClock

    async def post(self, body: Any, **more: Any) -> tuple[int, Any, dict[str, str]]:
        """What it answers: status, body, headers."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        async with self.session.post(f"{self.url}/_matrix/push/v1/notify", data=data, **more) as response:
            return response.status, await response.json(), dict(response.headers)

    async def notify(self, app_id: str, pushkey: str, data: Json | None = None, **said: Any) -> Any:
        """What it answers to a notification for one device: the rejected pushkeys, or the status."""
        tweaks = said.pop("tweaks", {})
        more = {"pushkey_ts": said.pop("pushkey_ts")} if "pushkey_ts" in said else {}
        device = {"app_id": app_id, "pushkey": pushkey, "data": data or {}, "tweaks": tweaks, **more}
        status, body, _ = await self.post({"notification": {**said, "devices": [device]}})
        return body["rejected"] if status == 200 else status


MakeGateway = Callable[..., Awaitable[Running]]


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Trusted by what the tests open."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def clock() -> FakeClock:
    """The gateway's and its providers'."""
    return FakeClock()


@pytest.fixture
async def make_gateway(clock: FakeClock) -> AsyncIterator[MakeGateway]:
    """`await make_gateway(*apps, **settings)`; a test fails when the gateway had an error of its own."""
    served: list[Served] = []
    async with AsyncExitStack() as stack:

        async def make(*apps: App, **settings: Any) -> Running:
            observed: list[Observation] = []
            names = FakeNames()
            gateway = await stack.enter_async_context(
                gateway_of(
                    Settings(apps, **settings),
                    observed.append,
                    private=(ip_network("127.0.0.0/8"),),
                    names=names,
                    now=clock.now,
                )
            )
            from push_gateway import notify

            site: Site[Any, Any] = Site(
                Router(routes_of(notify)), {}, Alone(gateway), _nobody, None, served.append
            )
            url = await stack.enter_async_context(serving(LISTENER, site))
            session = await stack.enter_async_context(ClientSession(response_class=response_class()))
            return Running(gateway, url, session, observed, served, names, clock)

        yield make
    assert [one.failure for one in served if one.failure is not None] == []


async def _nobody(_: Any) -> None:
    return None


def pem(key: Any) -> bytes:
    """As keys are kept in files."""
    data: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return data


@pytest.fixture(scope="session")
def rsa_pem() -> bytes:
    """A service account's key."""
    return pem(rsa.generate_private_key(public_exponent=65537, key_size=2048))


@dataclass
class Google:
    """FCM and its OAuth server, and an app that uses them."""

    provider: FakeProvider
    oauth: OAuth
    app: App


@pytest.fixture
async def google(
    authority: Authority, tmp_path: Path, rsa_pem: bytes, clock: FakeClock
) -> AsyncIterator[Google]:
    """Both at one address."""
    provider = FakeProvider()
    file = tmp_path / "account.json"
    account = {
        "type": "service_account", "project_id": "p", "client_email": EMAIL, "private_key_id": "k1",
        "private_key": rsa_pem.decode(), "token_uri": f"{provider.url}/token",
    }  # fmt: skip
    file.write_text(json.dumps(account))
    public = RSAKey.import_key(RSAKey.import_key(rsa_pem).as_dict(private=False))
    provider.answer = oauth = OAuth(public, EMAIL, f"{provider.url}/token", clock.now)
    app = App("org.example.android", Provider.FCM, file, url=provider.url, ca_file=authority.file)
    async with running_provider(provider, authority):
        yield Google(provider, oauth, app)


@dataclass
class Cupertino:
    """APNs, and an app that uses it."""

    provider: FakeProvider
    apple: Apple
    app: App


@pytest.fixture
async def cupertino(authority: Authority, tmp_path: Path, clock: FakeClock) -> AsyncIterator[Cupertino]:
    """At an address of its own."""
    key, file = ec.generate_private_key(ec.SECP256R1()), tmp_path / "AuthKey.p8"
    file.write_bytes(pem(key))
    provider = FakeProvider()
    public = ECKey.import_key(ECKey.import_key(pem(key)).as_dict(private=False))
    provider.answer = apple = Apple(public, clock.now)
    app = App(
        "org.example.ios*", Provider.APNS, file, url=provider.url, ca_file=authority.file,
        key_id="KEY1234567", team_id="TEAM123456", topic="org.example.ios",
    )  # fmt: skip
    async with running_provider(provider, authority):
        yield Cupertino(provider, apple, app)


def with_content_hidden(app: App) -> App:
    """The same, of whose messages its provider learns nothing."""
    return replace(app, content=False)
