"""Holds back who asks too often, or too much at once: the front door's questions, put to a tenant's buckets."""

from __future__ import annotations

from protocol.matrix_error import LimitExceeded
from services.accounts.tokens import digest_of
from services.guards import count_request, is_exempt
from services.requester import Peer, Requester
from services.tenant import Tenant
from web.endpoint import RateClass

TRY_AGAIN = 1_000
"""Milliseconds after which one of a user's many requests may have ended."""

Caller = tuple[str, str]
"""A tenant and a user."""


async def hold_back(
    tenant: Tenant,
    requester: Requester | Peer | None,
    address: str,
    rate: RateClass,
    token: str | None = None,
) -> None:
    """Raises LimitExceeded with the time to wait. Where anybody may ask, an application service is known by its `token`."""
    if requester is None and token is not None and tenant.appservices.known:
        appservice = tenant.appservices.by_token(digest_of(token))
        requester = None if appservice is None else Requester(appservice.sender, appservice=appservice.id)
    await count_request(tenant, requester, address, rate.name)


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
