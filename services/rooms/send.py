"""Sending one event into a room, exactly once for each transaction."""

from __future__ import annotations

from hashlib import sha256

from protocol.build import EventDraft
from protocol.errors import ProtocolError
from protocol.events import MEMBER, Event
from protocol.ids import EventID, RoomID
from protocol.matrix_error import Forbidden, InvalidParam, MatrixError, Unknown
from services.requester import Requester
from services.rooms.append import ATTEMPTS, append, commit, committed
from services.rooms.compose import compose
from services.rooms.draft_checks import check_draft, check_draft_in_state
from services.rooms.event_rows import NOWHERE, Origin
from services.rooms.head import Head, UnknownRoom
from services.rooms.membership.invite_elsewhere import invite_elsewhere, is_for_elsewhere
from services.rooms.membership.profile import filled_in
from services.rooms.membership.whole import until_decidable
from services.rooms.policy import needs_signature, policy_server_of, signed_by_policy
from services.tenant import Tenant
from storage.events import event_of_txn
from storage.journal import Duplicate, Stale


async def send_event(
    tenant: Tenant,
    requester: Requester,
    room_id: RoomID,
    draft: EventDraft,
    txn_id: str | None = None,
    at: int | None = None,
) -> EventID:
    """The ID of the event that came of the draft, or of an earlier request with this transaction ID.

    A state event that would change nothing is not sent: the ID is that of the one which stands. `at` is the
    time that an application service gives. Raises Forbidden, and what else clients are told.
    """
    origin = origin_of(requester, txn_id, "send", room_id, draft.type) if txn_id is not None else NOWHERE
    return await send_from(tenant, requester, room_id, draft, origin, at)


def origin_of(requester: Requester, txn_id: str, *path: str) -> Origin:
    """Where an event comes from: a transaction ID counts for one device (or token) and one path."""
    if len(txn_id) > 255 or "\0" in txn_id:
        raise InvalidParam("The transaction ID is too long")
    session = requester.device_id or (requester.token_id or b"").hex()
    digest = sha256("\0".join((requester.user_id, session, *path, txn_id)).encode("utf-8", "surrogatepass"))
    return Origin(requester.device_id, txn_id, digest.digest())


async def send_from(
    tenant: Tenant,
    requester: Requester,
    room_id: RoomID,
    draft: EventDraft,
    origin: Origin,
    at: int | None = None,
) -> EventID:
    """As `send_event`, with the transaction given as an Origin."""
    if origin.digest is not None and (sent := tenant.heads.sent(origin.digest)) is not None:
        return sent
    try:
        draft = await filled_in(tenant, draft)
        await check_draft(tenant, requester, room_id, draft)
        await until_decidable(tenant, requester, room_id, draft)
        if is_for_elsewhere(tenant, draft):
            return await _invite_elsewhere(tenant, requester, room_id, draft, at)
        return await _send_until_fresh(tenant, requester, room_id, draft, origin, at)
    except Duplicate as duplicate:
        return EventID(duplicate.event_id)
    except (MatrixError, ProtocolError):
        # What is refused now may have been sent before: the answer to a retry is that of the first time.
        if (sent := await _sent_before(tenant, origin)) is not None:
            return sent
        raise


async def _invite_elsewhere(
    tenant: Tenant, requester: Requester, room_id: RoomID, draft: EventDraft, at: int | None
) -> EventID:
    try:
        async with tenant.heads.locked(room_id) as head:
            same = await _standing(tenant, head, requester, draft)
    except UnknownRoom:
        raise Forbidden("You are not in this room") from None
    if same is not None:
        return same.event_id
    return await invite_elsewhere(tenant, requester.user_id, room_id, draft, at)


async def _sent_before(tenant: Tenant, origin: Origin) -> EventID | None:
    if origin.digest is None:
        return None
    async with tenant.database.read() as tx:
        return await event_of_txn(tx, origin.digest)


async def _send_until_fresh(
    tenant: Tenant, requester: Requester, room_id: RoomID, draft: EventDraft, origin: Origin, at: int | None
) -> EventID:
    for _ in range(ATTEMPTS):
        try:
            return await _send(tenant, requester, room_id, draft, origin, at)
        except Stale:
            continue
        except UnknownRoom:
            raise Forbidden("You are not in this room") from None
    raise Unknown("The room is too busy: try again", status=503)


async def _send(
    tenant: Tenant, requester: Requester, room_id: RoomID, draft: EventDraft, origin: Origin, at: int | None
) -> EventID:
    async with tenant.heads.locked(room_id) as head:
        await check_draft_in_state(tenant, head, requester, draft)
        same = await _standing(tenant, head, requester, draft)
        if same is not None:
            return same.event_id
        before = head.extremities
        event = await compose(tenant, head, requester.user_id, draft, at)
        policy = await policy_server_of(tenant, head) if needs_signature(event) else None
        if policy is None:
            done = commit(tenant, [await append(tenant, head, event, origin)], head)
    if policy is not None:
        signed = await signed_by_policy(tenant, policy, event)
        async with tenant.heads.locked(room_id) as head:
            if head.extremities != before:
                raise Stale  # the room has gone on meanwhile
            done = commit(tenant, [await append(tenant, head, signed, origin)], head)
    await committed(done)
    return event.event_id


async def _standing(tenant: Tenant, head: Head, requester: Requester, draft: EventDraft) -> Event | None:
    """The state event that says the same already; None if there is none."""
    if draft.state_key is None:
        return None
    key, own = (draft.type, draft.state_key), (MEMBER, requester.user_id)
    state = await head.state_events(tenant.database, (key, own))
    current, member = state.get(key), state.get(own)
    if current is None or current.sender != requester.user_id or current.content != draft.content:
        return None
    return current if member is not None and member.membership == "join" else None
