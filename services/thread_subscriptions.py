"""Subscribing to threads: by hand, or because something in the thread is about the user (MSC4306)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from protocol.ids import EventID, RoomID
from protocol.json import JsonObject
from protocol.matrix_error import MatrixError, NotFound
from services.requester import Requester
from services.rooms.read import view_of, visible_event
from services.tenant import Tenant
from storage import topics
from storage.database import Tx
from storage.journal import Change, Row
from storage.thread_subscriptions import (
    SUBSCRIBE,
    UNSUBSCRIBE,
    Subscription,
    position_in_thread,
    subscription_changes,
    subscription_of,
)
from storage.timeline import NEWEST


@dataclass(frozen=True, slots=True)
class Page:
    """Changes of subscriptions, the newest first; `following` is the position to go on below, None at the end."""

    changes: Sequence[Subscription]
    following: int | None


async def subscription(tenant: Tenant, requester: Requester, room_id: RoomID, root: EventID) -> Subscription:
    """The user's subscription to the thread; raises NotFound."""
    async with tenant.database.read() as tx:
        await _check_thread(tx, requester, room_id, root)
        found = await subscription_of(tx, requester.user_id, room_id, root)
    if found is None or not found.subscribed:
        raise NotFound("You are not subscribed to this thread")
    return found


async def subscribe(
    tenant: Tenant, requester: Requester, room_id: RoomID, root: EventID, cause: EventID | None
) -> None:
    """Subscribes to the thread: the user does, or the client does because of an event in it (`cause`).

    Raises NotFound for a thread that is not there, and MatrixError for a cause that is not in it, or from before
    the user unsubscribed.
    """
    at = None
    async with tenant.database.read() as tx:
        await _check_thread(tx, requester, room_id, root)
        if cause is not None:
            at = await _position_of(tx, requester, room_id, root, cause)
    row = Row(SUBSCRIBE, (requester.user_id, room_id, root, cause is not None, at))
    await tenant.journal.append(Change((row,), (topics.account_data(requester.user_id),)))


async def unsubscribe(tenant: Tenant, requester: Requester, room_id: RoomID, root: EventID) -> None:
    """The user is not subscribed any more; events up to now will not change that. Raises NotFound."""
    async with tenant.database.read() as tx:
        await _check_thread(tx, requester, room_id, root)
    row = Row(UNSUBSCRIBE, (requester.user_id, room_id, root))
    await tenant.journal.append(Change((row,), (topics.account_data(requester.user_id),)))


async def changes_between(
    tenant: Tenant, requester: Requester, after: int, before: int | None, limit: int
) -> Page:
    """The newest changes between two positions (MSC4308)."""
    async with tenant.database.read() as tx:
        found = await subscription_changes(tx, requester.user_id, after, before or NEWEST, limit + 1)
    return page(found, limit)


def page(found: Sequence[Subscription], limit: int) -> Page:
    """The page that `limit + 1` rows, if there are so many, make."""
    more = len(found) > limit
    return Page(found[:limit], found[limit - 1].position if more else None)


def as_json(changes: Sequence[Subscription]) -> JsonObject:
    """The changes as clients see them, by room and root."""
    json: JsonObject = {}
    for one in changes:
        name, told = "unsubscribed", {"bump_stamp": one.position}
        if one.subscribed:
            name, told = "subscribed", {"automatic": one.automatic, "bump_stamp": one.position}
        json.setdefault(name, {}).setdefault(one.room_id, {})[one.root] = told
    return json


async def _check_thread(tx: Tx, requester: Requester, room_id: RoomID, root: EventID) -> None:
    await visible_event(tx, await view_of(tx, requester, room_id), root)


async def _position_of(tx: Tx, requester: Requester, room_id: RoomID, root: EventID, cause: EventID) -> int:
    at = await position_in_thread(tx, cause, room_id, root)
    if at is None:
        raise MatrixError("The event is not in this thread", errcode="IO.ELEMENT.MSC4306.M_NOT_IN_THREAD")
    stands = await subscription_of(tx, requester.user_id, room_id, root)
    if stands is not None and not stands.subscribed and at < stands.position:
        raise MatrixError(
            "You have unsubscribed since then",
            status=409,
            errcode="IO.ELEMENT.MSC4306.M_CONFLICTING_UNSUBSCRIPTION",
        )
    return at
