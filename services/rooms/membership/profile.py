"""How a user of ours appears in a room: the profile's name and picture in the member event."""

from __future__ import annotations

from dataclasses import replace

import orjson

from protocol.build import EventDraft
from protocol.events import MEMBER
from protocol.ids import UserID, server_of
from services.appservices.queries import make_user
from services.tenant import Tenant
from storage.profiles import profile_of

_SHOWN = ("displayname", "avatar_url")


async def filled_in(tenant: Tenant, draft: EventDraft) -> EventDraft:
    """The draft; one by which a user of ours joins, knocks or is invited has the profile's name and picture, unless it
    brings its own. Where there is no such user, an application service may make it first."""
    if draft.type != MEMBER or draft.content.get("membership") not in ("join", "invite", "knock"):
        return draft
    if draft.state_key is None or server_of(draft.state_key) != tenant.name:
        return draft
    stored = await _profile(tenant, draft.state_key)
    if stored is None and await make_user(tenant, UserID(draft.state_key)):
        stored = await _profile(tenant, draft.state_key)
    profile = orjson.loads(stored) if stored is not None else {}
    shown = {
        name: profile[name] for name in _SHOWN if name not in draft.content and profile.get(name) is not None
    }
    return replace(draft, content={**draft.content, **shown}) if shown else draft


async def _profile(tenant: Tenant, user_id: str) -> bytes | None:
    async with tenant.database.read() as tx:
        return await profile_of(tx, user_id)
