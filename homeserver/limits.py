"""Holds back who asks too often: the front door's question, put to a tenant's buckets."""

from __future__ import annotations

from protocol.matrix_error import LimitExceeded
from services.requester import Peer, Requester
from services.tenant import Tenant
from web.endpoint import RateClass


async def hold_back(
    tenant: Tenant, requester: Requester | Peer | None, address: str, rate: RateClass
) -> None:
    """Raises LimitExceeded with the time to wait; application services are held back only if they ask for it."""
    settings = tenant.settings.rate_limits
    if not settings.enabled or _is_free(tenant, requester):
        return
    who = _name(requester) or address
    limit = settings.limit(rate.name)
    wait = await tenant.limits.take(f"{rate.name}:{who}", limit.per_second, limit.burst, tenant.clock.now())
    if wait > 0:
        raise LimitExceeded(wait)


def _name(requester: Requester | Peer | None) -> str | None:
    if requester is None:
        return None
    return requester.server_name if isinstance(requester, Peer) else requester.user_id


def _is_free(tenant: Tenant, requester: Requester | Peer | None) -> bool:
    if not isinstance(requester, Requester) or requester.appservice is None:
        return False
    appservice = tenant.appservices.by_id(requester.appservice)
    return appservice is not None and not appservice.rate_limited
