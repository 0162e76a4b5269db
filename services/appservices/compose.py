"""The next transaction for an application service (§Pushing events): what of the news concerns it, bounded."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import asyncpg
import orjson
from orjson import Fragment

from services.appservices.encryption import Encrypted, encrypted
from services.appservices.ephemeral import Event, ephemeral
from services.appservices.interest import Interest
from services.appservices.pending import News
from services.appservices.registry import Appservice
from services.rooms.client_event import splice, unsigned_member
from services.rooms.tail import stored_tail_event
from services.tenant import Tenant
from storage.appservices import Mail, events_between
from storage.timeline import shown_events

MAX_EVENTS = 100
MAX_BYTES = 1024 * 1024  # of events; a single one is at most 64 KiB
SCANNED = 1000


@dataclass(frozen=True, slots=True)
class Composed:
    """The body of a transaction (None: there is nothing to tell), and where the application service is with it."""

    upto: int
    body: bytes | None
    mail: Mail
    rest: News
    """What is still to be looked at."""


@dataclass(frozen=True, slots=True)
class _Events:
    events: list[Fragment]
    upto: int


async def compose(
    tenant: Tenant, appservice: Appservice, interest: Interest, news: News, span: tuple[int, int]
) -> Composed:
    """What concerns the application service at positions in the span (after, upto]: the first of it, if that is much."""
    after, upto = span
    found = await _events(tenant, appservice, interest, after, upto)
    passing = await ephemeral(tenant, appservice, interest, news, upto)
    secret = await encrypted(tenant, appservice, news, after, upto)
    rest = News(
        events_after=found.upto if found.upto < upto else None,
        mail=news.mail if secret.more else set(),
        all_mail=secret.more and (news.is_everything or news.all_mail),
        receipts=news.receipts if passing.receipts_after is not None else set(),
        receipts_after=passing.receipts_after,
    )
    if not (found.events or passing.events or secret.is_something):
        return Composed(found.upto, None, (), rest)
    return Composed(found.upto, _body(appservice, found.events, passing.events, secret), secret.mail, rest)


def _body(appservice: Appservice, events: list[Fragment], passing: list[Event], secret: Encrypted) -> bytes:
    body: dict[str, Any] = {"events": events}
    if appservice.receives_ephemeral:
        body["ephemeral"] = passing
    if appservice.old_ephemeral:
        body["de.sorunome.msc2409.ephemeral"] = passing
    return orjson.dumps(body | dict(secret.members))


async def _events(
    tenant: Tenant, appservice: Appservice, interest: Interest, after: int, upto: int
) -> _Events:
    """The first events of interest: «linearised, as if they were from the event stream»."""
    if after >= upto:
        return _Events([], upto)
    async with tenant.database.read() as tx:
        rows = await events_between(tx, after, upto, SCANNED)
    reached = upto if len(rows) < SCANNED else rows[-1]["position"]
    windows = await interest.windows([row["room_id"] for row in rows], after)
    chosen = [
        row for row in rows if windows[row["room_id"]].has(row["position"]) or _is_about(appservice, row)
    ]
    if len(chosen) > MAX_EVENTS:
        chosen = chosen[:MAX_EVENTS]
        reached = chosen[-1]["position"]
    shown = await _shown(tenant, chosen)
    size = 0
    for place, (row, event) in enumerate(zip(chosen, shown, strict=True)):
        size += len(event)
        if size > MAX_BYTES and place:
            return _Events([Fragment(one) for one in shown[:place]], row["position"] - 1)
    return _Events([Fragment(one) for one in shown], reached)


def _is_about(appservice: Appservice, row: asyncpg.Record) -> bool:
    if appservice.cares_for_user(row["sender"]):
        return True
    target = row["state_key"] if row["type"] == "m.room.member" else None
    return target is not None and appservice.cares_for_user(target)


async def _shown(tenant: Tenant, rows: Collection[asyncpg.Record]) -> list[bytes]:
    """The events as clients get them, with their age now; an invite with what the guest may see of the room."""
    if not rows:
        return []
    async with tenant.database.read() as tx:
        stored = await shown_events(tx, [row["event_id"] for row in rows])
    events = {event.event_id: event for event in map(stored_tail_event, stored)}
    now = tenant.clock.now()
    shown = []
    for row in rows:
        event = events[row["event_id"]]
        seen = b"" if row["stripped"] is None else b',"invite_room_state":' + row["stripped"]
        unsigned = unsigned_member(now - event.origin_server_ts, event.fixed + seen)
        shown.append(splice(event.json, unsigned, row["room_id"]))
    return shown
