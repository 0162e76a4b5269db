"""/sync (§Syncing): looks for news, and waits for them where there are none.

A poll registers its listener before it looks. What the listener has noted is told from memory; what happened before it
began is read from PostgreSQL in one snapshot. A poll that finds nothing waits for the listener to be woken, and moves on
to where it has looked, so that it never looks at anything twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from protocol.filters import Filter
from services.presence import seen
from services.requester import Requester
from services.sync.answer import Answer, look_up
from services.sync.likings import likings_of
from services.sync.listener import Noted
from services.sync.look import Connection, Look, connection
from services.sync.streams.to_device import acknowledge
from services.sync.token import Token
from services.sync.waiting import Departure, news
from services.tenant import Tenant
from storage.rooms_of import joined_rooms_now


@dataclass(frozen=True, slots=True)
class SyncRequest:
    """What a client asks for; `timeout` in milliseconds, `presence` what it says of its user."""

    since: Token | None
    filter: Filter
    timeout: int
    full_state: bool
    state_after: bool
    presence: str


async def sync(tenant: Tenant, requester: Requester, request: SyncRequest, gone: Departure) -> dict[str, Any]:
    """What is new since the token, as soon as there is something; after the timeout, or when the client has gone, nothing."""
    return (await next_answer(tenant, requester, request, gone)).body


async def next_answer(tenant: Tenant, requester: Requester, request: SyncRequest, gone: Departure) -> Answer:
    """The same, with where to go on from and whether it is news."""
    await seen(tenant, requester.user_id, request.presence, requester.device_id)
    return await _Poll(tenant, requester, request, gone).answer()


class _Poll:
    """One request, as long as it waits."""

    __slots__ = ("_deadline", "_gone", "_listener", "_request", "_requester", "_since", "_tenant")

    def __init__(self, tenant: Tenant, requester: Requester, request: SyncRequest, gone: Departure) -> None:
        self._tenant = tenant
        self._requester = requester
        self._request = request
        self._gone = gone
        self._since = request.since
        self._deadline = asyncio.get_running_loop().time() + request.timeout / 1000

    async def answer(self) -> Answer:
        """The news, or that there are none."""
        self._listener = await self._tenant.listeners.of(self._requester.user_id)
        memory = self._listener.memory_of(self._requester.device_id)
        memory.goes_on_from(str(self._since))
        is_over = self._request.since is None or self._request.full_state
        while True:
            answer = await self._look()
            if answer.is_news or is_over:
                break
            self._since = answer.next_batch
            del answer  # thousands wait here
            assert self._since is not None  # a first sync does not wait
            is_over = not await news(self._listener, self._since, self._deadline, self._gone)
            self._listener = await self._tenant.listeners.of(self._requester.user_id)
        memory.token = str(answer.next_batch)
        return answer

    def _is_noted(self, since: Token, upto: int) -> bool:
        """Does the listener know all that happened since? Not of a token that is ahead of this process, or of time."""
        return not self._request.full_state and self._listener.began <= since.position <= upto

    async def _look(self) -> Answer:
        since = self._since
        listener, rooms, generation = self._listener, self._listener.rooms, self._listener.generation
        upto = self._tenant.feed.position
        if since is not None and rooms is not None and self._is_noted(since, upto):
            noted = listener.noted_since(since.position)
            async with connection(self._tenant.database) as lazily:
                return await self._looked(lazily, generation, since, upto, rooms, listener.partial, noted)
        async with self._tenant.database.snapshot() as tx:
            joined = await joined_rooms_now(tx, self._requester.user_id)
            upto = joined.position
            # A token of the future is one of a database that was restored since: such a client begins anew.
            since = since if since is not None and since.position <= upto else None
            async with connection(self._tenant.database, tx) as there:
                return await self._looked(there, generation, since, upto, joined.rooms, joined.partial, None)

    async def _looked(
        self,
        tx: Connection,
        generation: int,
        since: Token | None,
        upto: int,
        joined: Collection[str],
        in_part: Collection[str],
        noted: Noted | None,
    ) -> Answer:
        listener = self._listener
        # A client that wants to be told all members would take those that are known for all, and encrypt for too few.
        hidden = frozenset() if self._request.filter.room.state.lazy_load_members else frozenset(in_part)
        if noted is None or hidden:
            joined = frozenset(joined) - hidden
        look = Look(
            tenant=self._tenant,
            user_id=self._requester.user_id,
            device_id=self._requester.device_id,
            filter=self._request.filter,
            since=since,
            upto=Token(upto, self._tenant.ephemeral.position),
            joined=joined,
            hidden=hidden,
            now=self._tenant.clock.now(),
            listener=listener,
            generation=generation,
            memory=listener.memory_of(self._requester.device_id),
            likings=await likings_of(self._tenant, listener, generation, tx, upto),
            noted=noted,
            full_state=self._request.full_state,
            state_after=self._request.state_after,
            connection=tx,
        )
        await acknowledge(look)
        return await look_up(look)
