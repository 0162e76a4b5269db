"""Leaving an event with the server, to be sent later (MSC4140)."""

from __future__ import annotations

import orjson

from protocol.build import EventDraft
from protocol.ids import RoomID
from protocol.matrix_error import Forbidden, LimitExceeded, MatrixError, TooLarge, UserSuspended
from services.requester import Requester
from services.rooms.send import origin_of
from services.tenant import Tenant
from storage.delayed_events import DelayedEvent, delayed_of_txn, first_due, insert_delayed

ID_LENGTH = 32
"""Letters and digits; who knows the ID may send, restart and cancel the event."""

MAX_EVENT = 65_536  # bytes, of which an event needs some for itself: what is larger can never be sent


async def schedule(
    tenant: Tenant, requester: Requester, room_id: RoomID, draft: EventDraft, delay: int, txn_id: str | None
) -> str:
    """The ID of the delayed event; the same again for the same transaction ID. Raises Forbidden, LimitExceeded, UserSuspended or
    TooLarge.

    Whether the user may send it is asked when it is sent.
    """
    limits = tenant.settings.delayed_events
    if not limits.enabled:
        raise Forbidden("This server sends no delayed events")
    digest = None
    if txn_id is not None:
        digest = origin_of(requester, txn_id, "delayed", room_id, draft.type).digest
    async with tenant.database.transaction() as tx:
        known = None if digest is None else await delayed_of_txn(tx, digest)
        if known is not None:
            return known
        if requester.is_suspended:
            raise UserSuspended
        _check_delay(delay, limits.max_delay)
        event = _event(tenant, requester, room_id, draft, delay, txn_id)
        if not await insert_delayed(tx, event, digest, limits.max_scheduled):
            known = None if digest is None else await delayed_of_txn(tx, digest)
            if known is not None:
                return known
            first = await first_due(tx, requester.user_id)
            raise LimitExceeded(
                max((first or 0) - tenant.clock.now(), 1000), "You have too many delayed events"
            )
    tenant.delayed.ring()
    return event.delay_id


def _check_delay(delay: int, most: int) -> None:
    if delay <= most:
        return
    # COMPAT matrix-js-sdk: it asks for M_UNKNOWN and these names, and comes again with what it is offered.
    raise MatrixError(
        "The delay is too long",
        extra={
            "org.matrix.msc4140.errcode": "M_MAX_DELAY_EXCEEDED",
            "org.matrix.msc4140.max_delay": most,
            "max_delay_ms": most,
        },
    )


def _event(
    tenant: Tenant, requester: Requester, room_id: RoomID, draft: EventDraft, delay: int, txn_id: str | None
) -> DelayedEvent:
    now, content = tenant.clock.now(), orjson.dumps(draft.content)
    if len(content) > MAX_EVENT:
        raise TooLarge
    return DelayedEvent(
        delay_id=tenant.random.token(ID_LENGTH),
        user_id=requester.user_id,
        device_id=requester.device_id,
        room_id=room_id,
        type=draft.type,
        state_key=draft.state_key,
        content=content,
        due=now + delay,
        since=now,
        delay=delay,
        txn_id=txn_id,
    )
