"""What becomes of delayed events before they are sent (MSC4140): looked at, sent at once, begun anew, cancelled."""

from __future__ import annotations

from protocol.matrix_error import LimitExceeded, MatrixError, NotFound
from services.delayed.fire import LEASE, OVERTAKEN, fire
from services.requester import Requester
from services.tenant import Tenant
from storage import delayed_events as stored
from storage.delayed_events import DelayedEvent as DelayedEvent

UNKNOWN = "There is no such delayed event"


async def list_delayed(tenant: Tenant, requester: Requester) -> list[DelayedEvent]:
    """The user's delayed events that wait, in the order in which they will be sent."""
    async with tenant.database.transaction() as tx:
        await stored.cancel_overtaken(tx, tenant.clock.now(), OVERTAKEN, requester.user_id)
        return await stored.waiting_of(tx, requester.user_id)


async def find_delayed(tenant: Tenant, requester: Requester | None, delay_id: str) -> DelayedEvent:
    """One of them, for its owner, or for whoever knows its ID and says not who they are; raises NotFound."""
    async with tenant.database.transaction() as tx:
        await stored.cancel_overtaken(tx, tenant.clock.now(), OVERTAKEN, delay_ids=[delay_id])
        found = await stored.get_delayed(tx, delay_id)
    if found is None or (requester is not None and requester.user_id != found.user_id):
        raise NotFound(UNKNOWN)
    return found


async def send_now(tenant: Tenant, requester: Requester | None, delay_id: str) -> None:
    """Sends it; it may have been sent already. Raises what sending raises, NotFound, or a conflict (409)."""
    found = await find_delayed(tenant, requester, delay_id)
    now = tenant.clock.now()
    async with tenant.database.transaction() as tx:
        taken = await stored.take(tx, delay_id, now, now + LEASE)
    if taken is not None:
        failed = await fire(tenant, taken)
        if failed is not None:
            raise failed
    elif found.finalised is None:  # another process is sending it just now
        raise LimitExceeded(1000, "It is being sent")
    elif found.event_id is None:
        raise _conflict("cancelled")


async def restart(tenant: Tenant, requester: Requester | None, delay_id: str) -> None:
    """Its time begins to run anew; raises NotFound, or a conflict (409) where it does not wait any more."""
    found = await find_delayed(tenant, requester, delay_id)
    async with tenant.database.transaction() as tx:
        if not await stored.restart(tx, delay_id, tenant.clock.now()):
            raise _conflict("cancelled" if found.finalised and found.event_id is None else "sent")


async def cancel(tenant: Tenant, requester: Requester | None, delay_id: str) -> None:
    """It will not be sent; raises NotFound, or a conflict (409) where it has been."""
    found = await find_delayed(tenant, requester, delay_id)
    if found.finalised is not None and found.event_id is None:
        return
    async with tenant.database.transaction() as tx:
        if not await stored.cancel(tx, delay_id, tenant.clock.now()):
            raise _conflict("sent")


def _conflict(outcome: str) -> MatrixError:
    # COMPAT matrix-js-sdk: with another code than M_NOT_FOUND (the MSC has M_UNKNOWN) it gives the call up, instead of
    # scheduling the event anew.
    return NotFound(f"The delayed event has been {outcome} already", status=409)
