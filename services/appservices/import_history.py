"""Importing what was said elsewhere before the room was bridged: many events together or not at all (docs/decisions/0010)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from hashlib import sha256

import orjson

from protocol.build import EventDraft
from protocol.ids import EventID, RoomID, UserID
from protocol.matrix_error import Forbidden, InvalidParam, Unknown
from services.appservices.import_before import append_before
from services.appservices.past import Past
from services.receipts import receipt, set_receipts
from services.requester import Requester
from services.rooms.append import ATTEMPTS, committed
from services.rooms.draft_checks import check_draft, check_draft_in_state
from services.rooms.event_rows import Origin
from services.rooms.group import Group, commit_groups
from services.rooms.head import UnknownRoom
from services.rooms.policy import policy_server_of
from services.tenant import Tenant
from storage.accounts import get_account
from storage.appservices import events_of_txns, has_messages
from storage.journal import Duplicate, Stale
from storage.receipts import FULLY_READ, READ

MAX_EVENTS = 500


async def is_empty(tenant: Tenant, room_id: RoomID) -> bool:
    """Has nobody said anything in the room yet?"""
    async with tenant.database.read() as tx:
        return not await has_messages(tx, room_id)


async def import_history(
    tenant: Tenant,
    requester: Requester,
    room_id: RoomID,
    past: Sequence[Past],
    read_by: UserID | None,
    *,
    at_end: bool,
) -> list[EventID]:
    """The IDs of the events, all of which are in the room then, or none; the same batch again is not imported again.

    They stand at the room's end, or before all that it has: then nobody has to be told to have read them.

    All senders, and who is to have read it all, must be the application service's to act for and be in the room. Raises
    Forbidden, InvalidParam, and what a client is told of an event that it may not send.
    """
    if not 0 < len(past) <= MAX_EVENTS:
        raise InvalidParam(f"A batch has 1 to {MAX_EVENTS} events")
    actors = await _actors(
        tenant, requester, {one.sender for one in past} | ({read_by} if read_by else set())
    )
    digests = _digests(requester, room_id, past)
    sent = await _sent(tenant, digests)
    if sent is None:
        for one in past:
            await check_draft(tenant, actors[one.sender], room_id, EventDraft(one.type, one.content))
        place = _append if at_end else append_before
        sent = await _until_fresh(tenant, digests, lambda: place(tenant, actors, room_id, past, digests))
    if read_by is not None and at_end:
        wanted = [receipt(kind, sent[-1]) for kind in (READ, FULLY_READ)]
        await set_receipts(tenant, actors[read_by], room_id, wanted)
    return sent


async def _actors(tenant: Tenant, requester: Requester, users: set[UserID]) -> dict[UserID, Requester]:
    appservice = tenant.appservices.by_id(requester.appservice or "")
    if appservice is None:
        raise Forbidden("This is for application services only")
    actors = {}
    async with tenant.database.read() as tx:
        for user_id in users:
            account = await get_account(tx, user_id) if appservice.may_act_for(user_id) else None
            if account is None or account.deactivated:
                raise Forbidden(f"The application service may not act for {user_id}")
            actors[user_id] = Requester(user_id, appservice=appservice.id, is_suspended=account.suspended)
    return actors


def _digests(requester: Requester, room_id: RoomID, past: Sequence[Past]) -> list[bytes]:
    """What each event is known by, should the same batch come again."""
    return [
        sha256(
            orjson.dumps(
                ["batch", requester.appservice, room_id, number, one.sender, one.type, one.at, one.content],
                option=orjson.OPT_SORT_KEYS,
            )
        ).digest()
        for number, one in enumerate(past)
    ]


async def _sent(tenant: Tenant, digests: Sequence[bytes]) -> list[EventID] | None:
    """The events of an earlier try; None where there was none."""
    async with tenant.database.read() as tx:
        found = await events_of_txns(tx, digests)
    return [EventID(found[one]) for one in digests] if len(found) == len(digests) else None


async def _until_fresh(
    tenant: Tenant, digests: Sequence[bytes], append: Callable[[], Awaitable[list[EventID]]]
) -> list[EventID]:
    for _ in range(ATTEMPTS):
        try:
            return await append()
        except Stale:
            continue
        except UnknownRoom:
            raise Forbidden("You are not in this room") from None
        except Duplicate as duplicate:
            if (sent := await _sent(tenant, digests)) is not None:
                return sent
            raise InvalidParam(f"Part of this batch has been imported: {duplicate.event_id}") from None
    raise Unknown("The room is too busy: try again", status=503)


async def _append(
    tenant: Tenant,
    actors: dict[UserID, Requester],
    room_id: RoomID,
    past: Sequence[Past],
    digests: Sequence[bytes],
) -> list[EventID]:
    async with tenant.heads.locked(room_id) as head:
        if await policy_server_of(tenant, head) is not None:
            raise Forbidden("This room has a policy server, which must see each message")
        group = Group(tenant, head)
        events = []
        for one, digest in zip(past, digests, strict=True):
            draft = EventDraft(one.type, one.content)
            await check_draft_in_state(tenant, head, actors[one.sender], draft)
            events.append(await group.add(one.sender, draft, one.at, Origin(digest=digest)))
        done = commit_groups(tenant, (group,))
    await committed(done)
    return [event.event_id for event in events]
