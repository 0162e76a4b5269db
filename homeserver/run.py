"""The life of a server: database, tenants, ports; until somebody says stop; then the same backwards."""

from __future__ import annotations

import asyncio
import gc
import signal
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from homeserver.assemble import opened
from homeserver.compute import ThreadCompute
from homeserver.config import Api, Config
from homeserver.identity import remember
from homeserver.life import alive
from homeserver.limits import Crowds
from homeserver.listen import listening
from homeserver.logging import LOG, log_observation
from homeserver.metrics import Metrics
from homeserver.platform import Platform
from homeserver.routes import all_endpoints
from homeserver.tenants import TenantPlan, plans
from homeserver.welcome import welcome
from services.observations import Observation
from services.tenant import SystemClock, SystemRandom, Tenant
from storage.embedded.postgres import EmbeddedPostgres
from web.serve import Served

SPARE_CONNECTIONS = 20
"""Of the embedded PostgreSQL: for `hearth user add` beside the server, migrations and curious people."""


async def serve(config: Config, add_user: str) -> None:
    """Serves until SIGTERM or SIGINT. Raises when something cannot be opened, after closing what was."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    metrics = Metrics()
    remember(config)
    async with AsyncExitStack() as stack:
        tenants = [tenant async for tenant in _all_opened(stack, config, metrics)]
        metrics.add_gauges(lambda: _gauges(tenants))
        endpoints, crowds = (*all_endpoints(), metrics.endpoint()), Crowds()
        urls = [
            await stack.enter_async_context(
                listening(listener, endpoints, tenants, _observer(metrics), crowds)
            )
            for listener in config.listeners
        ]
        # What is here now stays: the garbage collector need not look at it again and again.
        gc.collect()
        gc.freeze()
        print(welcome(config, plans(config), urls, add_user), flush=True)
        await stop.wait()
        LOG.info("stopping", extra={"subject": "hearth"})


@asynccontextmanager
async def database(config: Config) -> AsyncIterator[dict[str, Any]]:
    """What asyncpg.connect needs. Our own PostgreSQL runs meanwhile, or another process' is used while it runs."""
    if config.database.url is not None:
        yield {"dsn": config.database.url}
        return
    tenants = len(config.tenants) or 1
    postgres = EmbeddedPostgres(
        config.data_folder / "postgresql",
        max_connections=config.database.connections * tenants + SPARE_CONNECTIONS,
        report=lambda said: LOG.warning(said, extra={"subject": "PostgreSQL"}),
    )
    where = dict(await postgres.start())
    try:
        yield where
    finally:
        await postgres.stop()


@asynccontextmanager
async def database_beside_server(config: Config) -> AsyncIterator[dict[str, Any]]:
    """As `database`, for a command that may run while a server does: then that one's PostgreSQL is used."""
    beside = EmbeddedPostgres(config.data_folder / "postgresql")
    if config.database.url is None and beside.is_served():
        try:
            yield dict(beside.address())
        finally:
            await beside.stop()
        return
    async with database(config) as where:
        yield where


@asynccontextmanager
async def platform(
    config: Config, where: Mapping[str, Any], metrics: Metrics, push_gateway: Any = None
) -> AsyncIterator[Platform]:
    """What all tenants are given."""

    def observe(tenant: str, observation: Observation) -> None:
        metrics.observed(tenant, observation)
        log_observation(tenant, observation)

    compute = ThreadCompute()
    try:
        yield Platform(
            database=where,
            connections=config.database.connections,
            redis_url=config.redis.url,
            clock=SystemClock(),
            random=SystemRandom(),
            compute=compute,
            observe=observe,
            push_gateway=push_gateway,
        )
    finally:
        compute.close()


def planned(config: Config, server_name: str | None) -> TenantPlan:
    """The tenant of this name, or the only one; raises LookupError when that is nobody or not clear."""
    all_plans = {plan.settings.server_name: plan for plan in plans(config)}
    if server_name is None and len(all_plans) == 1:
        return next(iter(all_plans.values()))
    if server_name not in all_plans:
        raise LookupError(f"say which server (--tenant): {', '.join(all_plans)}")
    return all_plans[server_name]


async def _all_opened(stack: AsyncExitStack, config: Config, metrics: Metrics) -> AsyncIterator[Tenant]:
    where = await stack.enter_async_context(database(config))
    gateway = None
    if any(Api.PUSH_GATEWAY in listener.apis for listener in config.listeners):
        from homeserver.push_gateway import gateway_in  # few homeservers are one

        gateway = await stack.enter_async_context(gateway_in(config, metrics))
    offered = await stack.enter_async_context(platform(config, where, metrics, gateway))
    for plan in plans(config):
        tenant = await stack.enter_async_context(opened(plan, offered))
        await stack.enter_async_context(alive(tenant))
        yield tenant


def _observer(metrics: Metrics) -> Any:
    def observe(served: Served) -> None:
        metrics.served(served)
        if served.failure is not None:
            error = served.failure
            LOG.error("%s", served, exc_info=(type(error), error, error.__traceback__), extra=_about(served))
        else:
            LOG.debug("%s", served, extra=_about(served))

    return observe


def _about(served: Served) -> dict[str, str]:
    return {"subject": served.tenant.name if served.tenant else "-"}


def _gauges(tenants: Iterable[Tenant]) -> Iterable[tuple[str, str, str, float]]:
    for tenant in tenants:
        yield (
            "hearth_journal_position",
            "The last commit that was told here.",
            tenant.name,
            tenant.feed.position,
        )
        yield (
            "hearth_statements",
            "SQL statements since the start.",
            tenant.name,
            tenant.database.statements_run,
        )
