"""Sending an event that was left to be sent later (MSC4140)."""

from __future__ import annotations

from hashlib import sha256

import orjson

from protocol.build import EventDraft
from protocol.errors import ProtocolError, Rejected
from protocol.json import JsonObject
from protocol.matrix_error import BadJson, Forbidden, LimitExceeded, MatrixError, UserDeactivated, UserLocked
from services.requester import Requester
from services.rooms.event_rows import Origin
from services.rooms.membership.guests import shut_out_guests
from services.rooms.send import send_from
from services.tenant import Tenant
from storage.accounts import get_account
from storage.delayed_events import DelayedEvent, finish, release

LEASE = 60_000  # ms: whoever has not sent it by then has died
RETRY = 10_000  # ms

OVERTAKEN = orjson.dumps({"errcode": "M_UNKNOWN", "error": "Somebody else has set this state meanwhile"})
"""«cancelled when ... sent by a different user»: why a delayed state event was not sent."""


async def fire(tenant: Tenant, delayed: DelayedEvent) -> MatrixError | None:
    """Sends what the caller has taken; the error, if that could not be. What may go better later is left for later."""
    try:
        event_id = await _send(tenant, delayed)
    except MatrixError as error:
        if error.status >= 500 or isinstance(error, LimitExceeded):
            async with tenant.database.read() as tx:
                await release(tx, delayed.delay_id, tenant.clock.now() + RETRY)
        else:
            await _finish(tenant, delayed, None, error.body())
        return error
    await _finish(tenant, delayed, event_id, None)
    return None


async def _send(tenant: Tenant, delayed: DelayedEvent) -> str:
    requester = await _requester(tenant, delayed)
    draft = EventDraft(delayed.type, orjson.loads(delayed.content), delayed.state_key)
    # Whoever dies after this and before it is noted has sent it: the next one is told the same event.
    digest = sha256(b"delayed\0" + delayed.delay_id.encode()).digest()
    origin = Origin(delayed.device_id if delayed.txn_id else None, delayed.txn_id, digest)
    try:
        event_id = await send_from(tenant, requester, delayed.room_id, draft, origin)
    except Rejected as error:
        raise Forbidden(str(error)) from None
    except ProtocolError as error:
        raise BadJson(str(error)) from None
    await shut_out_guests(tenant, delayed.room_id, draft)
    return event_id


async def _requester(tenant: Tenant, delayed: DelayedEvent) -> Requester:
    async with tenant.database.read() as tx:
        account = await get_account(tx, delayed.user_id)
    if account is None or account.deactivated:
        raise UserDeactivated
    if account.locked:
        raise UserLocked
    return Requester(
        delayed.user_id, delayed.device_id, is_guest=account.is_guest, is_suspended=account.suspended
    )


async def _finish(
    tenant: Tenant, delayed: DelayedEvent, event_id: str | None, error: JsonObject | None
) -> None:
    written = None if error is None else orjson.dumps(error)
    async with tenant.database.read() as tx:
        await finish(tx, delayed.delay_id, tenant.clock.now(), event_id, written)
