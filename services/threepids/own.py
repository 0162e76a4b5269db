"""The addresses of an account (§Adding Account Administrative Contact Information)."""

from __future__ import annotations

from protocol.matrix_error import ThreepidAuthFailed, ThreepidInUse
from services.accounts.uia import PASSWORD, Operation, require_uia
from services.requester import Requester
from services.tenant import Tenant
from services.threepids.addresses import canonical
from services.threepids.bindings import unbind
from services.threepids.sessions import Purpose, ThreepidSession, validated
from storage.threepid_sessions import delete_session
from storage.threepids import Threepid, delete_threepid, insert_threepid, threepids_of


async def own_threepids(tenant: Tenant, requester: Requester) -> list[Threepid]:
    """All addresses of the requester."""
    async with tenant.database.read() as tx:
        return await threepids_of(tx, requester.user_id)


async def add_threepid(
    tenant: Tenant, requester: Requester, sid: str, client_secret: str, operation: Operation
) -> None:
    """The address of the session is the requester's. Raises ThreepidAuthFailed, InteractiveAuthNeeded, ThreepidInUse."""
    session = await validated(tenant, Purpose.ADD, sid, client_secret)
    await require_uia(tenant, requester, operation, PASSWORD)
    await _add(tenant, requester, session)


async def add_shown_threepid(tenant: Tenant, requester: Requester, sid: str, client_secret: str) -> None:
    """The same, for who has just shown elsewhere to be the requester. Raises ThreepidAuthFailed or ThreepidInUse."""
    await _add(tenant, requester, await validated(tenant, Purpose.ADD, sid, client_secret))


async def _add(tenant: Tenant, requester: Requester, session: ThreepidSession) -> None:
    now = tenant.clock.now()
    threepid = Threepid(session.medium, session.address, session.validated_at or now, now)
    async with tenant.database.transaction() as tx:
        if not await delete_session(tx, session.sid):
            raise ThreepidAuthFailed("This session has been used already")
        if not await insert_threepid(tx, requester.user_id, threepid):
            raise ThreepidInUse


async def delete_own_threepid(
    tenant: Tenant, requester: Requester, medium: str, address: str, id_server: str | None
) -> bool:
    """The address is not the requester's any more; was it taken off the identity server too? Raises what unbind raises
    before it asks anybody.
    """
    address = canonical(medium, address)
    async with tenant.database.read() as tx:
        await delete_threepid(tx, requester.user_id, medium, address)
    return await unbind(tenant, requester.user_id, medium, address, id_server, may_fail=True)
