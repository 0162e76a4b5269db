"""/sync (§Syncing): looks for news, and waits for them where there are none.

A poll registers its listener before it looks. What the listener has noted is told from memory; what happened before it
began is read from PostgreSQL in one snapshot. A poll that finds nothing waits for the listener to be woken, and moves on
to where it has looked, so that it never looks at anything twice.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from protocol.filters import Filter
from services.presence import seen
from services.requester import Requester
from services.sync.answer import Answer, look_up
from services.sync.ignored import ignored_by
from services.sync.look import Connection, Look, connection
from services.sync.streams.to_device import acknowledge
from services.sync.token import Token
from services.tenant import Tenant
from storage.rooms_of import journal_position


@dataclass(frozen=True, slots=True)
class SyncRequest:
    """What a client asks for; `timeout` in milliseconds, `presence` what it says of its user."""

    since: Token | None
    filter: Filter
    timeout: int
    full_state: bool
    state_after: bool
    presence: str


async def sync(
    tenant: Tenant, requester: Requester, request: SyncRequest, gone: asyncio.Event
) -> dict[str, Any]:
    """What is new since the token, as soon as there is something; after the timeout, or when the client has gone, nothing."""
    await seen(tenant, requester.user_id, request.presence)
    return await _Poll(tenant, requester, request, gone).answer()


class _Poll:
    """One request, as long as it waits."""

    __slots__ = ("_deadline", "_gone", "_listener", "_request", "_requester", "_since", "_tenant")

    def __init__(
        self, tenant: Tenant, requester: Requester, request: SyncRequest, gone: asyncio.Event
    ) -> None:
        self._tenant = tenant
        self._requester = requester
        self._request = request
        self._gone = gone
        self._since = request.since
        self._deadline = asyncio.get_running_loop().time() + request.timeout / 1000

    async def answer(self) -> dict[str, Any]:
        """The reply's body."""
        self._listener = await self._tenant.listeners.of(self._requester.user_id)
        memory = self._listener.memory_of(self._requester.device_id)
        memory.goes_on_from(str(self._since))
        while True:
            answer = await self._look()
            if answer.is_news or self._request.since is None or self._request.full_state:
                break
            self._since = answer.next_batch
            if not await self._woken():
                break
            self._listener = await self._tenant.listeners.of(self._requester.user_id)
        memory.token = str(answer.next_batch)
        return answer.body

    async def _woken(self) -> bool:
        """Waits for news that the last look could not see; False at the timeout, and when the client has gone."""
        listener, since = self._listener, self._since
        assert since is not None  # a first sync does not wait
        if listener.rooms is None or listener.last > since.position or listener.ephemeral > since.ephemeral:
            return True
        left = self._deadline - asyncio.get_running_loop().time()
        if left <= 0 or self._gone.is_set():
            return False
        woken = listener.waiter()
        leaving = asyncio.ensure_future(self._gone.wait())
        try:
            await asyncio.wait((woken, leaving), timeout=left, return_when=asyncio.FIRST_COMPLETED)
        finally:
            leaving.cancel()
            woken.cancel()
        return woken.done() and not woken.cancelled()

    async def _look(self) -> Answer:
        since = self._since
        if since is not None and not self._request.full_state and since.position >= self._listener.began:
            upto = max(self._tenant.feed.position, since.position)
            async with connection(self._tenant.database) as lazily:
                return await self._looked(lazily, since, upto, is_noted=True)
        async with self._tenant.database.snapshot() as tx:
            upto = await journal_position(tx)
            # A token of the future is one of a database that was restored since: such a client begins anew.
            since = since if since is not None and since.position <= upto else None
            async with connection(self._tenant.database, tx) as there:
                return await self._looked(there, since, upto, is_noted=False)

    async def _looked(self, tx: Connection, since: Token | None, upto: int, *, is_noted: bool) -> Answer:
        listener = self._listener
        look = Look(
            tenant=self._tenant,
            user_id=self._requester.user_id,
            device_id=self._requester.device_id,
            filter=self._request.filter,
            since=since,
            upto=Token(upto, self._tenant.ephemeral.position),
            now=self._tenant.clock.now(),
            listener=listener,
            memory=listener.memory_of(self._requester.device_id),
            ignored=await ignored_by(listener, tx),
            is_noted=is_noted,
            full_state=self._request.full_state,
            state_after=self._request.state_after,
            connection=tx,
        )
        await acknowledge(look)
        return await look_up(look)
