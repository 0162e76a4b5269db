"""Claims destinations, many in one statement: a message to ten thousand servers must not take as many."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from federation.outbound.destination import Destination
from protocol.ids import ServerName
from services.servers import destinations as book
from services.servers.destinations import Claimed
from services.tenant import Tenant


@dataclass(frozen=True, slots=True)
class Claims:
    """The destinations that are ours now, and those that are to be left alone until then (ms), which are let go again."""

    ours: Mapping[ServerName, Claimed]
    early: Mapping[ServerName, Claimed]


async def claimed_together(tenant: Tenant, process: str, wanted: Mapping[ServerName, Destination]) -> Claims:
    """Those that no other process has."""
    claimed = await book.claim(tenant, {server: one.complete_from for server, one in wanted.items()}, process)
    now = tenant.clock.now()
    early = {
        server: claim
        for server, claim in claimed.items()
        if claim.retry_at > now and not wanted[server].is_forced
    }
    await book.release(tenant, process, {server: claim.position for server, claim in early.items()})
    return Claims({server: claim for server, claim in claimed.items() if server not in early}, early)
