"""The push gateway in this program: inside the homeserver, or alone and without a database."""

from __future__ import annotations

import argparse
import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Any

import orjson
from aiohttp import ClientError
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from federation.client.bounded import Endless, read_within
from federation.client.connections import Blocked, Connections
from federation.client.names import Names, SystemNames
from federation.client.urls import destination_of
from homeserver.commands import CommandError
from homeserver.config import Api, Config, ListenerConfig
from homeserver.config_push_gateway import push_gateway_of
from homeserver.listen import serving
from homeserver.logging import LOG, log_observation
from homeserver.metrics import Metrics
from homeserver.routes import all_endpoints, api_of
from push_gateway.gateway import Gateway
from push_gateway.notification import Device, Notification
from push_gateway.open import opened
from push_gateway.outcome import Answer, Delivered, Dropped, Failed, Forbidden, Outcome, Rejected, Unreachable
from push_gateway.ports import Uses
from push_gateway.settings import Settings
from services.observations import Observation
from services.settings import Federation
from services.tenant import SystemClock
from storage.redis.limits import LocalLimits
from web.endpoint import Endpoint
from web.router import Router
from web.serve import Served, Site

MAX_ANSWER = 64 * 1024
SUBJECT = "push gateway"
DID_NOT_ARRIVE = "the test notification did not arrive"


class GatewayError(CommandError):
    """The gateway cannot do what it was told to; the text says why."""


class PublicPosts:
    """Posts to what strangers have named, over connections to public addresses only."""

    def __init__(self, seconds: float, settings: Federation, names: Names | None = None) -> None:
        """`names` is the domain name system; None: the machine's."""
        self._seconds = seconds
        self._system = SystemNames() if names is None else None
        self._connections = Connections(settings, names or self._system or SystemNames())

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """The answer; raises Unreachable or Forbidden."""
        try:
            destination, path = destination_of(url)
            async with self._connections.request(
                "POST", destination, path, headers=headers, body=body, seconds=self._seconds
            ) as response:
                said = {name.lower(): value for name, value in response.headers.items()}
                return Answer(response.status, said, await read_within(response, MAX_ANSWER))
        except TimeoutError:
            raise Unreachable("the push service did not answer in time") from None
        except (ClientError, OSError, Endless, ValueError) as error:
            if isinstance(error, Blocked) or isinstance(getattr(error, "os_error", None), Blocked):
                raise Forbidden from None
            raise Unreachable(f"the push service cannot be asked: {type(error).__name__}") from None

    async def close(self) -> None:
        """Ends all connections."""
        await self._connections.close()
        if self._system is not None:
            self._system.close()


@asynccontextmanager
async def gateway_of(
    settings: Settings,
    observe: Callable[[Observation], None],
    *,
    private: tuple[IPv4Network | IPv6Network, ...] = (),
    names: Names | None = None,
    now: Callable[[], int] | None = None,
) -> AsyncIterator[Gateway]:
    """A gateway that pushes; raises CredentialsError. `private` networks are for tests: push services are in public ones."""

    def strangers(seconds: float, ca_file: str | None) -> PublicPosts:
        trusted = Federation(ca_file=Path(ca_file) if ca_file else None, allowed_private_networks=private)
        return PublicPosts(seconds, trusted, names)

    uses = Uses(now or SystemClock().now, LocalLimits(), strangers, observe)
    async with opened(settings, uses) as gateway:
        yield gateway


@asynccontextmanager
async def gateway_in(config: Config, metrics: Metrics) -> AsyncIterator[Gateway]:
    """The gateway that the configuration describes, with its figures."""

    def observe(observation: Observation) -> None:
        metrics.observed(SUBJECT, observation)
        log_observation(SUBJECT, observation)

    async with gateway_of(push_gateway_of(config.push_gateway), observe) as gateway:
        metrics.add(lambda: figures(gateway))
        yield gateway


def figures(gateway: Gateway) -> Iterable[Metric]:
    """What Prometheus is told of it."""
    pushes = CounterMetricFamily(
        "hearth_push_gateway_pushes", "Pushes by how they ended.", labels=("app", "provider", "outcome")
    )
    for labels, count in gateway.pushes.items():
        pushes.add_metric(list(labels), count)
    under_way = GaugeMetricFamily("hearth_push_gateway_under_way", "Pushes that are being made or wait.")
    under_way.add_metric([], gateway.under_way)
    return (pushes, under_way)


@dataclass(frozen=True, slots=True)
class Alone:
    """Whom a request reaches where there is no homeserver."""

    push_gateway: Gateway
    name: str = SUBJECT


async def serve_gateway(config: Config) -> None:
    """Serves the gateway alone, on the listeners that name it, until SIGTERM or SIGINT; raises GatewayError or ListenError."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    metrics = Metrics()
    if not any(Api.PUSH_GATEWAY in listener.apis for listener in config.listeners):
        raise GatewayError(
            "no listener serves the push gateway: say `apis: [push_gateway]` in one of listeners"
        )
    async with AsyncExitStack() as stack:
        gateway = await stack.enter_async_context(gateway_in(config, metrics))
        endpoints = (*all_endpoints(), metrics.endpoint())
        listeners = [one for one in config.listeners if {Api.PUSH_GATEWAY, Api.METRICS} & set(one.apis)]
        urls = [
            await stack.enter_async_context(_listening(listener, endpoints, Alone(gateway), metrics))
            for listener in listeners
        ]
        print(f"The push gateway is up: {', '.join(urls)}", flush=True)
        await stop.wait()
        LOG.info("stopping", extra={"subject": SUBJECT})


def _listening(
    listener: ListenerConfig, endpoints: Iterable[Endpoint], alone: Alone, metrics: Metrics
) -> Any:
    apis = {Api.PUSH_GATEWAY, Api.METRICS} & set(listener.apis)
    served = [endpoint for endpoint in endpoints if api_of(endpoint) in apis]

    def observe(served: Served) -> None:
        metrics.served(served)
        error = served.failure
        if error is not None:
            info = (type(error), error, error.__traceback__)
            LOG.error("%s", served, exc_info=info, extra={"subject": SUBJECT})

    async def nobody(_: Any) -> None:
        return None

    return serving(listener, Site(Router(served), {}, alone, nobody, None, observe))


async def send_test(config: Config, options: argparse.Namespace) -> None:
    """Sends one notification and says how it ended; raises GatewayError when it did not arrive."""
    device = Device(options.app_id, options.pushkey, 0, _data(options.push_data), {"sound": "default"})
    async with gateway_of(push_gateway_of(config.push_gateway), lambda _: None) as gateway:
        outcome = await gateway.push(test_notification(SystemClock().now()), device)
    print(f"{type(outcome).__name__.lower()}{_told(outcome)}")
    if not isinstance(outcome, Delivered):
        raise GatewayError(DID_NOT_ARRIVE)


def test_notification(now: int) -> Notification:
    """What is sent to see whether it arrives."""
    return Notification(
        event_id=f"$test-{now}",
        room_id="!test:push-gateway",
        type="m.room.message",
        sender="@push-gateway:test",
        sender_display_name="Push gateway",
        room_name="Test",
        room_alias=None,
        user_is_target=None,
        is_urgent=True,
        content={"msgtype": "m.text", "body": "This is a test notification."},
        unread=1,
        missed_calls=None,
    )


def _data(text: str | None) -> dict[str, Any]:
    try:
        data = orjson.loads(text or "{}")
    except orjson.JSONDecodeError as error:
        raise GatewayError(f"--push-data is not JSON: {error}") from None
    if not isinstance(data, dict):
        raise GatewayError("--push-data must be a JSON object")
    return data


def _told(outcome: Outcome) -> str:
    return f": {outcome.reason}" if isinstance(outcome, Rejected | Dropped | Failed) else ""
