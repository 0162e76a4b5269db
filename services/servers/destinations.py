"""The book of the servers that we deliver to: what each has, which cannot be reached, and which process delivers."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from protocol.ids import ServerName
from services.tenant import Tenant
from storage import topics
from storage.journal import Change
from storage.servers import destinations as stored
from storage.servers.destinations import Claimed as Claimed
from storage.servers.outbox import delete_delivered


async def claim(tenant: Tenant, wanted: Mapping[ServerName, int], process: str) -> dict[ServerName, Claimed]:
    """Those of the destinations that no other process has, from now on this one's own; with the position for a new one."""
    async with tenant.database.read() as tx:
        return await stored.claim(tx, wanted, process)


async def set_delivered(
    tenant: Tenant,
    process: str,
    positions: Mapping[ServerName, int],
    mail: Collection[tuple[ServerName, int, int]],
) -> None:
    """The servers have everything up to these positions, and of their outboxes up to (server, position, part)."""
    # A statement alone needs no BEGIN and COMMIT, which cost as much as it does: this is for every message.
    async with tenant.database.transaction() if mail else tenant.database.read() as tx:
        await stored.set_delivered(tx, process, positions)
        if mail:
            await delete_delivered(tx, mail)


async def release(tenant: Tenant, process: str, positions: Mapping[ServerName, int]) -> None:
    """The servers have everything up to these positions; other processes may deliver to them."""
    if positions:
        async with tenant.database.read() as tx:
            await stored.release(tx, process, positions)


async def set_failed(tenant: Tenant, process: str, failed: Mapping[ServerName, tuple[int, int]]) -> None:
    """The servers could not be reached then; each is tried again after its pause (ms)."""
    async with tenant.database.read() as tx:
        await stored.set_failed(tx, process, failed)


async def end_pause(tenant: Tenant, server: ServerName) -> None:
    """The server has been heard from: if it was given up for a while, whoever delivers to it tries again."""
    async with tenant.database.read() as tx:
        ended = await stored.end_pause(tx, server, tenant.clock.now())
    if ended:
        await tenant.journal.append(Change((), (topics.heard(server),)))


async def pausing(tenant: Tenant) -> list[tuple[ServerName, int, int]]:
    """The servers that could not be reached: (server, when it is tried again, after which pause)."""
    async with tenant.database.read() as tx:
        found = await stored.pausing(tx, tenant.clock.now())
    return [(ServerName(server), at, after) for server, at, after in found]


async def maybe_behind(tenant: Tenant, process: str) -> tuple[list[ServerName], set[ServerName]]:
    """Of the servers that nobody delivers to now those that may lack something, and those that have everything."""
    async with tenant.database.read() as tx:
        found = await stored.maybe_behind(tx, tenant.clock.now(), process)
    behind = [ServerName(server) for server, is_behind in found.items() if is_behind]
    return behind, {ServerName(server) for server, is_behind in found.items() if not is_behind}


async def abandoned(tenant: Tenant, overdue: int) -> list[ServerName]:
    """The servers whose process has died, or which were to be tried again so many milliseconds ago."""
    async with tenant.database.read() as tx:
        return list(map(ServerName, await stored.abandoned(tx, tenant.clock.now() - overdue)))
