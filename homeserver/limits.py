"""Holds back who asks too often, or too much at once: the front door's questions, put to a tenant's buckets."""

from __future__ import annotations

from collections.abc import Iterator

from protocol.matrix_error import LimitExceeded
from services.guards import is_exempt
from services.requester import Peer, Requester
from services.tenant import Tenant
from web.endpoint import RateClass

TRY_AGAIN = 1_000
"""Milliseconds after which one of a user's many requests may have ended."""

Caller = tuple[str, str]
"""A tenant and a user."""


async def hold_back(
    tenant: Tenant, requester: Requester | Peer | None, address: str, rate: RateClass
) -> None:
    """Raises LimitExceeded with the time to wait; application services are held back only if they ask for it."""
    settings = tenant.settings.rate_limits
    if not settings.enabled or (isinstance(requester, Requester) and is_exempt(tenant, requester)):
        return
    limit, now = settings.limit(rate.name), tenant.clock.now()
    for who, share in _buckets(tenant, requester, address):
        burst = max(1, round(limit.burst * share))
        wait = await tenant.limits.take(f"{rate.name}:{who}", limit.per_second * share, burst, now)
        if wait > 0:
            raise LimitExceeded(wait)


def _buckets(tenant: Tenant, requester: Requester | Peer | None, address: str) -> Iterator[tuple[str, float]]:
    """Whose they are, and how large as a share of one user's."""
    if requester is None:
        yield address, 1.0
    elif isinstance(requester, Peer):
        yield requester.server_name, 1.0
    else:
        settings = tenant.settings.rate_limits
        yield requester.user_id, 1.0
        if requester.device_id is not None and settings.device_share < 1:
            yield f"{requester.user_id}/{requester.device_id}", settings.device_share
        yield f"users at {address}", settings.address_factor


class Crowds:
    """How many requests of each user this process is serving at this moment."""

    def __init__(self) -> None:
        self._being_served: dict[Caller, int] = {}

    def enter(self, tenant: Tenant, requester: Requester | Peer | None) -> Caller | None:
        """Counts a request until `leave`; raises LimitExceeded when the user has too many. None: it is not counted."""
        limit = tenant.settings.guards.connections_per_user
        if limit is None or not isinstance(requester, Requester) or is_exempt(tenant, requester):
            return None
        caller = (tenant.name, requester.user_id)
        count = self._being_served.get(caller, 0)
        if count >= limit:
            raise LimitExceeded(TRY_AGAIN)
        self._being_served[caller] = count + 1
        return caller

    def leave(self, caller: Caller) -> None:
        """The request has ended."""
        count = self._being_served.pop(caller) - 1
        if count:
            self._being_served[caller] = count
