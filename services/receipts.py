"""Receipts and the fully-read marker (§Receipts, §Fully read markers): up to where somebody has read."""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from protocol.ids import EventID, RoomID, UserID, fits
from protocol.matrix_error import Forbidden, InvalidParam, NotFound
from services import presence
from services.requester import Requester
from services.tenant import Tenant
from storage import topics
from storage.account_data import account_data_change
from storage.journal import Change, Row
from storage.receipts import FULLY_READ, READ, READ_PRIVATE, SET_RECEIPT, UNTHREADED, Place, Wanted, places_of

RECEIPT_TYPES = (READ, READ_PRIVATE, FULLY_READ)
MAIN = "main"


def receipt(receipt_type: str, event_id: EventID, thread_id: object = None) -> Wanted:
    """A receipt as a client asks for it, `thread_id` None: for the whole room. Raises InvalidParam."""
    if receipt_type not in RECEIPT_TYPES:
        raise InvalidParam(f"A receipt is one of {', '.join(RECEIPT_TYPES)}")
    if thread_id is None:
        return Wanted(receipt_type, event_id)
    # «thread_id is invalid: it is not a string, it is empty, it is provided for an incompatible receipt type»
    if not isinstance(thread_id, str) or not thread_id or "\0" in thread_id or not fits(thread_id):
        raise InvalidParam("thread_id must be main or an event ID")
    if receipt_type == FULLY_READ:
        raise InvalidParam("The fully-read marker is for the whole room")
    return Wanted(receipt_type, event_id, thread_id)


async def set_receipts(
    tenant: Tenant, requester: Requester, room_id: RoomID, wanted: Sequence[Wanted], *, backward: bool = False
) -> None:
    """Sets the requester's receipts; those that would go backwards are ignored.

    `backward` lets the fully-read marker do so (MSC4446). Raises Forbidden for who is not in the room, NotFound for
    events that are not in it, InvalidParam when an event is not in the thread of its receipt.
    """
    if not wanted:
        return
    async with tenant.database.read() as tx:
        membership, places = await places_of(tx, room_id, requester.user_id, wanted)
    if membership != "join":
        raise Forbidden("You are not in this room")
    changes = []
    for one, place in zip(wanted, places, strict=True):
        position = _position(one, place)
        goes_on = place.before is None or position > place.before
        if goes_on or (backward and one.receipt_type == FULLY_READ):
            changes.append(_change(tenant, requester.user_id, room_id, one, position))
    if changes:
        await tenant.journal.append(*changes)
    await presence.touched(tenant, requester.user_id, requester.device_id)


def _position(wanted: Wanted, place: Place) -> int:
    if place.position is None:
        raise NotFound("There is no such event in the room")
    # The root of a thread is in the main timeline; COMPAT clients that read a thread in which nobody has answered yet
    # set its receipt to the root.
    threads = (MAIN, wanted.event_id) if place.root is None else (place.root,)
    if wanted.thread_id != UNTHREADED and wanted.thread_id not in threads:
        raise InvalidParam("The event is not in this thread")
    return place.position


def _change(tenant: Tenant, user_id: UserID, room_id: RoomID, wanted: Wanted, position: int) -> Change:
    if wanted.receipt_type == FULLY_READ:
        content = orjson.dumps({"event_id": wanted.event_id})
        return account_data_change(user_id, room_id, FULLY_READ, content)
    slot = (room_id, user_id, wanted.receipt_type, wanted.thread_id)
    row = Row(SET_RECEIPT, (position, tenant.clock.now(), *slot, wanted.event_id))
    private = wanted.receipt_type == READ_PRIVATE
    topic = topics.own_receipts(user_id, room_id) if private else topics.receipts(room_id)
    return Change(rows=(row,), wake=(topic, topics.unread(user_id)))
