"""Redacted events as they were, for the moderators of their room, as long as that is kept (MSC2815)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import orjson

from protocol.auth.levels import PowerLevels
from protocol.errors import Rejected
from protocol.events import CREATE, POWER_LEVELS, Event
from protocol.ids import EventID, RoomID
from protocol.matrix_error import Forbidden, MatrixError
from services.background import running
from services.observations import BackgroundFailure
from services.requester import Requester
from services.rooms.client_event import shared_json
from services.rooms.read import view_of, visible_event
from services.settings import HOUR
from services.tenant import Tenant
from storage.database import Tx
from storage.events import event_by_id
from storage.redacted import forget_originals, original_of
from storage.rooms import current_state_events

DELETED = "FI.MAU.MSC2815_UNREDACTED_CONTENT_DELETED"


async def unredacted_event(tenant: Tenant, requester: Requester, room_id: RoomID, event_id: EventID) -> bytes:
    """The event as it was sent. Raises NotFound where the user may not see it at all, Forbidden for who may not redact others'
    events, and MatrixError where what it said is gone.
    """
    async with tenant.database.snapshot() as tx:
        view = await view_of(tx, requester, room_id)
        found = await visible_event(tx, view, event_id)
        stored = await event_by_id(tx, event_id)
        if stored is None or not view.is_joined or not await _may_redact(tx, requester, stored.event):
            raise Forbidden("You may not redact others' events")
        original = await original_of(tx, event_id)
    if original.is_redacted:
        if original.json is None:
            kept = {"fi.mau.msc2815.content_keep_ms": tenant.settings.redacted_kept}
            raise MatrixError("What it said is gone", status=404, errcode=DELETED, extra=kept)
        found = replace(found, json=shared_json(event_id, orjson.loads(original.json)))
    return view.json(found, tenant.clock.now(), b"")


async def _may_redact(tx: Tx, requester: Requester, event: Event) -> bool:
    keys = ((CREATE, ""), (POWER_LEVELS, ""))
    state = await current_state_events(tx, event.room_id, event.version, keys)
    try:
        levels = PowerLevels.of(event.version, state[CREATE, ""], state.get((POWER_LEVELS, "")))
        return levels.of_user(requester.user_id) >= levels.redact
    except (KeyError, Rejected):  # nonsense for power levels, in old room versions
        return False


@asynccontextmanager
async def originals_forgotten(tenant: Tenant) -> AsyncIterator[None]:
    """While this lasts, what was redacted long ago is forgotten."""
    async with running({"redacted events": _forget(tenant)}):
        yield


async def _forget(tenant: Tenant) -> None:
    while True:
        try:
            async with tenant.database.read() as tx:
                await forget_originals(tx, tenant.settings.redacted_kept)
        except Exception as error:  # noqa: BLE001 - it goes on
            tenant.observe(BackgroundFailure("redacted events", error))
        await tenant.clock.sleep(HOUR)
