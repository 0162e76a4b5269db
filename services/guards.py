"""How much of the server one user, or one room, may take: requests, rooms, members, invites (`rate_limits` and `guards` in the
configuration).

A limit of size is looked at before the change and may be passed by what runs at the same moment: it guards the server, nothing
that must be exact. Application services that are exempt from rate limits are exempt here too, and so is the server itself.
"""

from __future__ import annotations

from collections.abc import Iterator

from protocol.matrix_error import LimitExceeded, ResourceLimitExceeded, UserLimitExceeded
from services.requester import Peer, Requester
from services.rooms.head import Head
from services.tenant import Tenant
from storage.rooms_of import count_of_rooms

HOUR_S = 3600


async def count_request(
    tenant: Tenant, requester: Requester | Peer | None, address: str, rate_class: str
) -> None:
    """Counts one request of a class; raises LimitExceeded with the time to wait. Application services are held back only if
    they ask for it.
    """
    settings = tenant.settings.rate_limits
    if not settings.enabled or (isinstance(requester, Requester) and is_exempt(tenant, requester)):
        return
    limit, now = settings.limit(rate_class), tenant.clock.now()
    for who, share in _buckets(tenant, requester, address):
        burst = max(1, round(limit.burst * share))
        wait = await tenant.limits.take(f"{rate_class}:{who}", limit.per_second * share, burst, now)
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


async def check_rooms_of(tenant: Tenant, requester: Requester) -> None:
    """Raises UserLimitExceeded when the requester is in as many rooms as one may be."""
    limit = tenant.settings.guards.rooms_per_user
    if limit is None or is_exempt(tenant, requester):
        return
    async with tenant.database.read() as tx:
        if await count_of_rooms(tx, requester.user_id, limit) >= limit:
            raise _user_limit(tenant, f"You are in {limit} rooms already: leave one first")


def check_members(tenant: Tenant, head: Head) -> None:
    """Raises ResourceLimitExceeded when the room has as many members as one may have."""
    limit = tenant.settings.guards.members_per_room
    if limit is not None and head.joined >= limit:
        raise ResourceLimitExceeded(f"Rooms on this server have at most {limit} members")


async def count_invite(tenant: Tenant, requester: Requester) -> None:
    """Counts one invite; raises LimitExceeded with the time to wait after too many within an hour."""
    limit = tenant.settings.guards.invites_per_hour
    if limit is None or not tenant.settings.rate_limits.enabled or is_exempt(tenant, requester):
        return
    bucket = f"invites_per_hour:{requester.user_id}"
    wait = await tenant.limits.take(bucket, limit / HOUR_S, limit, tenant.clock.now())
    if wait > 0:
        raise LimitExceeded(wait)


def is_server(tenant: Tenant, requester: Requester) -> bool:
    """Whether it is the server itself who speaks (§Server Notices)."""
    notices = tenant.settings.server_notices
    return notices is not None and requester.user_id == notices.user_id


def is_exempt(tenant: Tenant, requester: Requester) -> bool:
    """Whether the requester is the server itself, or an application service that is not to be held back."""
    if requester.appservice is None:
        return is_server(tenant, requester)
    appservice = tenant.appservices.by_id(requester.appservice)
    return appservice is not None and not appservice.rate_limited


def _user_limit(tenant: Tenant, message: str) -> UserLimitExceeded:
    # «The error response MUST have an info_uri field»
    info_uri = tenant.settings.guards.info_uri or tenant.settings.public_base_url
    return UserLimitExceeded(message, extra={"info_uri": info_uri})
