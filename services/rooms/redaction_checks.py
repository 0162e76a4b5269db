"""Who of ours may redact what, beyond what the authorisation rules of the room version say."""

from __future__ import annotations

from protocol.auth.levels import PowerLevels
from protocol.build import EventDraft
from protocol.events import CREATE, MEMBER, POWER_LEVELS
from protocol.ids import UserID
from protocol.matrix_error import BadJson, Forbidden, InvalidParam, MissingParam, NotFound
from services.accounts.standing import refuse_suspended
from services.requester import Requester
from services.rooms.head import Head
from services.rooms.relation import is_storable
from services.tenant import Tenant
from storage.events import event_by_id


async def check_redaction(tenant: Tenant, head: Head, requester: Requester, draft: EventDraft) -> None:
    """Raises Forbidden, UserSuspended, or NotFound for an event that we do not know and that only its sender might redact."""
    target = draft.redacts if draft.redacts is not None else draft.content.get("redacts")
    if target is None:
        raise MissingParam("redacts is missing")
    if not isinstance(target, str):
        raise BadJson("redacts must be a string")
    if not target.startswith("$") or not is_storable(target):
        raise InvalidParam("redacts is not an event ID")
    own = (MEMBER, requester.user_id)
    member = (await head.state_events(tenant.database, (own,))).get(own)
    if member is None or member.membership != "join":
        # Before anything is said of the event: nobody is to learn here what there is elsewhere.
        raise Forbidden("You are not in this room")
    async with tenant.database.read() as tx:
        found = await event_by_id(tx, target)
    if found is not None and found.event.room_id != head.room_id:
        raise InvalidParam("The event is in another room")
    if found is not None and found.event.type in (CREATE, "m.room.server_acl"):
        # Without them, what the room is and who may take part would be forgotten.
        raise Forbidden("Events of this type are not to be redacted")
    if not requester.is_suspended and await _may_redact_others(tenant, head, requester.user_id):
        return
    if found is None:
        raise NotFound("There is no such event")
    if found.event.sender != requester.user_id:
        refuse_suspended(requester)
        raise Forbidden("You may not redact others' events")


async def _may_redact_others(tenant: Tenant, head: Head, sender: UserID) -> bool:
    state = await head.state_events(tenant.database, ((CREATE, ""), (POWER_LEVELS, "")))
    levels = PowerLevels.of(head.room_version, state[CREATE, ""], state.get((POWER_LEVELS, "")))
    return levels.of_user(sender) >= levels.redact
