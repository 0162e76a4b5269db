"""Puts a tenant together from its plan and what the process offers, and takes it apart again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import asyncpg

from federation.client.outside import OutsideRequests
from federation.client.pages import PageRequests
from homeserver.appservice_calls import calling_appservices
from homeserver.appservices import load_appservices
from homeserver.clamd import scanner_of
from homeserver.keys import old_keys, signing_key
from homeserver.platform import Platform
from homeserver.push_gateways import PushGateways
from homeserver.remotes import asking_others
from homeserver.tenants import TenantPlan
from homeserver.uploads import MediaUploads
from homeserver.upstream_requests import UpstreamRequests
from homeserver.workshop import workshop_of
from protocol.ids import ServerName
from services.appservices.calls import Calls, NoCalls
from services.observations import BackgroundFailure, Observation
from services.ports import Blobs, NoRemotes, Remotes
from services.rooms.head import Heads
from services.rooms.tail import Tails
from services.settings import Media
from services.sync.listener import Listeners
from services.tenant import Tenant
from storage.blobs import FolderBlobs
from storage.database import Database
from storage.feed import Feed, Subscriber
from storage.journal import Journal, Note
from storage.redis.ephemeral import Ephemeral, LocalEphemeral
from storage.redis.limits import Limits, LocalLimits
from storage.redis.wakeups import LocalWakeups, Wakeups
from storage.schema.migrate import migrate

LOOK_AGAIN = 5.0
"""Seconds after which a process looks for commits of others, should every wake-up have been lost."""


@asynccontextmanager
async def opened(plan: TenantPlan, platform: Platform) -> AsyncIterator[Tenant]:
    """A tenant on an up-to-date schema, hearing of every commit; at the end all that waits is written first.

    Raises KeyFileError, RegistrationError, NewerSchema or what asyncpg raises when there is no database.
    """
    name = plan.settings.server_name

    def observe(observation: Observation) -> None:
        platform.observe(name, observation)

    key = signing_key(plan.key_file, platform.random)
    old = old_keys(plan.key_file)
    appservices = load_appservices(plan.settings.appservice_files, name)
    plan.settings.media.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    await migrate_schema(platform.database, plan.schema)
    async with AsyncExitStack() as stack:
        database = await Database.open(dict(platform.database), plan.schema, platform.connections)
        stack.push_async_callback(database.close)
        wakeups, ephemeral, limits = await _shared(stack, plan, platform, observe)
        remotes: Remotes = NoRemotes()
        if plan.settings.federation.enabled:
            remotes = await stack.enter_async_context(
                asking_others(plan.settings, key, old, database, platform)
            )
        appservice_calls: Calls = NoCalls()
        if appservices.known:
            appservice_calls = await stack.enter_async_context(calling_appservices())
        outside = OutsideRequests(plan.settings, key, platform.names)
        stack.push_async_callback(outside.close)
        push_gateways = PushGateways(plan.settings.push, outside)
        stack.push_async_callback(push_gateways.close)
        pages = PageRequests(plan.settings, platform.names)
        stack.push_async_callback(pages.close)
        workshop = workshop_of(plan.settings.media.thumbnails)
        stack.push_async_callback(workshop.close)
        upstream = UpstreamRequests()
        stack.push_async_callback(upstream.close)
        feed = Feed(database)
        await feed.start()
        stack.push_async_callback(feed.stop)
        journal = Journal(database, _teller(feed, wakeups))
        stack.push_async_callback(journal.flushed)
        tenant = Tenant(
            name=ServerName(name),
            settings=plan.settings,
            signing_key=key,
            database=database,
            journal=journal,
            feed=feed,
            wakeups=wakeups,
            ephemeral=ephemeral,
            limits=limits,
            remotes=remotes,
            blobs=await _blobs(stack, plan.settings.media),
            clock=platform.clock,
            random=platform.random,
            compute=platform.compute,
            observe=observe,
            heads=Heads(database),
            tails=Tails(database),
            listeners=Listeners(database, feed, ephemeral, platform.clock),
            appservices=appservices,
            appservice_calls=appservice_calls,
            old_keys=old,
            outside=outside,
            push_gateways=push_gateways,
            push_gateway=platform.push_gateway,
            upstream=upstream,
            isolated=workshop,
            pages=pages,
            uploads=MediaUploads(),
            scanner=scanner_of(plan.settings.media.checks),
        )
        stack.push_async_callback(tenant.listeners.stop)
        _subscribe(tenant)
        await _hear_of_others(stack, tenant, platform.redis_url is not None)
        yield tenant


async def _blobs(stack: AsyncExitStack, media: Media) -> Blobs:
    if media.bucket is None:
        return FolderBlobs(media.folder)
    # The library takes 30 MiB: who keeps files in a folder does not load it.
    from storage.s3_blobs import s3_blobs

    return await stack.enter_async_context(s3_blobs(media.bucket, media.folder))


async def migrate_schema(database: Mapping[str, Any], schema: str) -> list[str]:
    """Brings the schema up to date; the names of the steps that were taken."""
    connection = await asyncpg.connect(**database)
    try:
        return await migrate(connection, schema)
    finally:
        await connection.close()


async def _shared(
    stack: AsyncExitStack, plan: TenantPlan, platform: Platform, observe: Callable[[Observation], None]
) -> tuple[Wakeups, Ephemeral, Limits]:
    """What processes share: through Redis, or, in a single process, in memory."""
    wakeups: Wakeups
    ephemeral: Ephemeral
    limits: Limits
    if platform.redis_url is None:
        wakeups, ephemeral, limits = LocalWakeups(), LocalEphemeral(platform.clock), LocalLimits()
    else:
        # The driver takes 7 MiB: who needs no Redis does not load it.
        from storage.redis.connection import RedisCorner
        from storage.redis.shared_ephemeral import RedisEphemeral
        from storage.redis.shared_limits import RedisLimits
        from storage.redis.shared_wakeups import RedisWakeups

        def report(what: str, error: BaseException) -> None:
            observe(BackgroundFailure(what, error))

        process = platform.random.token(12)
        corner = RedisCorner.open(platform.redis_url, plan.schema, process, report)
        stack.push_async_callback(corner.close)
        wakeups, ephemeral = RedisWakeups(corner), RedisEphemeral(corner, platform.clock)
        limits = RedisLimits(corner)
    stack.push_async_callback(wakeups.stop)
    await ephemeral.start()
    stack.push_async_callback(ephemeral.stop)
    await limits.start()
    stack.push_async_callback(limits.stop)
    return wakeups, ephemeral, limits


def _teller(feed: Feed, wakeups: Wakeups) -> Callable[[Note], Any]:
    """What the journal calls after each commit: first this process hears of it, then the others."""

    async def tell(note: Note) -> None:
        feed.arrived(note)
        await wakeups.publish(note)

    return tell


def _subscribe(tenant: Tenant) -> None:
    """Caches first, then those who wait: whoever is woken finds the caches at least as new as the news."""
    for memory in (tenant.logins, tenant.evaluators, tenant.counts):
        memory.listen(tenant.feed)
    for cache in (tenant.heads, tenant.tails, tenant.listeners):
        tenant.feed.subscribe(Subscriber(cache.told, cache.reset))
    tenant.ephemeral.subscribe(tenant.listeners.told_ephemeral)


async def _hear_of_others(stack: AsyncExitStack, tenant: Tenant, shared: bool) -> None:
    """Wake-ups of other processes reach the feed; it looks by itself from time to time, should they be lost."""
    looking: set[asyncio.Task[None]] = set()

    def lost() -> None:
        task = asyncio.create_task(_look(tenant))
        looking.add(task)
        task.add_done_callback(looking.discard)

    tenant.wakeups.subscribe(tenant.feed.arrived, lost)
    await tenant.wakeups.start()
    if shared:
        task = asyncio.create_task(
            _look_again_and_again(tenant), name="looking for commits of other processes"
        )
        stack.push_async_callback(_cancelled, task)


async def _look_again_and_again(tenant: Tenant) -> None:
    while True:
        await asyncio.sleep(LOOK_AGAIN)
        await _look(tenant)


async def _look(tenant: Tenant) -> None:
    try:
        await tenant.feed.look()
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        tenant.observe(BackgroundFailure("looking for commits of other processes", error))


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])
