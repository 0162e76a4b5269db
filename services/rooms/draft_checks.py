"""What a client may not send although the room's rules would let it (§Sending events to a room and the modules)."""

from __future__ import annotations

from typing import Any

from protocol.auth.levels import creators_of
from protocol.build import EventDraft
from protocol.events import CREATE, MEMBER, POWER_LEVELS, REDACTION
from protocol.ids import RoomID, UserID, parse_user_id
from protocol.matrix_error import (
    BadAlias,
    BadJson,
    DuplicateAnnotation,
    Forbidden,
    GuestAccessForbidden,
    InvalidParam,
    Unknown,
    UserSuspended,
)
from protocol.server_acl import ServerAcl
from services.requester import Requester
from services.rooms.head import Head
from services.rooms.membership.invite_checks import check_invite
from services.rooms.presets import GUEST_ACCESS
from services.rooms.redaction_checks import check_redaction
from services.rooms.relation import ANNOTATION, THREAD, Relation, relation_in
from services.tenant import Tenant
from storage.relations import annotation_by, rel_type_of
from storage.room_aliases import rooms_of_aliases

CANONICAL_ALIAS = "m.room.canonical_alias"
ENCRYPTION = "m.room.encryption"
SERVER_ACL = "m.room.server_acl"


async def check_draft(tenant: Tenant, requester: Requester, room_id: RoomID, draft: EventDraft) -> None:
    """Raises what the client is told of a draft that is wrong in any state of the room. A plain message costs no SQL."""
    if requester.is_suspended and not _is_left_to_the_suspended(requester, draft):
        raise UserSuspended
    if draft.type == CREATE:
        raise InvalidParam("A room is created once")
    if (
        draft.type == SERVER_ACL
        and draft.state_key == ""
        and not ServerAcl.of(draft.content).allows(tenant.name)
    ):
        raise Unknown("This would shut your own server out of the room")
    if draft.type == MEMBER and draft.state_key is not None:
        parse_user_id(draft.state_key)
        await check_invite(tenant, requester, draft)
    relation = relation_in(draft.content) if "m.relates_to" in draft.content else None
    if relation is not None:
        await _check_relation(tenant, requester.user_id, draft, relation)


def _is_left_to_the_suspended(requester: Requester, draft: EventDraft) -> bool:
    """§Account suspension: «SHOULD be able to: leave rooms they are a member of, redact their own events»; whose event it
    is that they redact is looked at later."""
    if draft.type == MEMBER:
        return draft.state_key == requester.user_id and draft.content.get("membership") == "leave"
    return draft.type == REDACTION and draft.state_key is None


async def _check_relation(tenant: Tenant, sender: UserID, draft: EventDraft, relation: Relation) -> None:
    if relation.rel_type == ANNOTATION and relation.key is not None:
        async with tenant.database.read() as tx:
            annotation = await annotation_by(tx, relation.parent, draft.type, relation.key, sender)
        # «Sending the same annotation twice: 400 M_DUPLICATE_ANNOTATION» (§Annotations)
        if annotation is not None:
            raise DuplicateAnnotation
    elif relation.rel_type == THREAD:
        async with tenant.database.read() as tx:
            rel_type = await rel_type_of(tx, relation.parent)
        # «a thread cannot be started from an event which already has a rel_type» (§Threading)
        if rel_type is not None:
            raise Unknown("A thread cannot start from an event that relates to another one")


async def check_draft_in_state(tenant: Tenant, head: Head, requester: Requester, draft: EventDraft) -> None:
    """Raises what the client is told of a draft that is wrong in the room as it is now."""
    if draft.type == REDACTION:
        await check_redaction(tenant, head, requester, draft)
    elif draft.type == MEMBER and requester.is_guest and draft.content.get("membership") == "join":
        key = (GUEST_ACCESS, "")
        access = (await head.state_events(tenant.database, (key,))).get(key)
        if access is None or access.content.get("guest_access") != "can_join":
            raise GuestAccessForbidden
    elif draft.type == CANONICAL_ALIAS and draft.state_key == "":
        await _check_aliases(tenant, head, draft)
    elif draft.type == POWER_LEVELS and draft.state_key == "" and head.room_version.creator_power:
        key = (CREATE, "")
        create = (await head.state_events(tenant.database, (key,))).get(key)
        users = draft.content.get("users")
        if create is not None and isinstance(users, dict) and creators_of(create) & users.keys():
            raise InvalidParam("A creator has no power level in this room version")
    elif draft.type == ENCRYPTION and draft.state_key == "":
        key = (ENCRYPTION, "")
        current = (await head.state_events(tenant.database, (key,))).get(key)
        if current is not None and not isinstance(draft.content.get("algorithm"), str):
            raise Forbidden("Encryption cannot be switched off")


async def _check_aliases(tenant: Tenant, head: Head, draft: EventDraft) -> None:
    key = (CANONICAL_ALIAS, "")
    current = (await head.state_events(tenant.database, (key,))).get(key)
    known = _aliases(current.content) if current is not None else frozenset()
    new = _aliases(draft.content) - known
    for alias in new:
        if "\0" in alias or not alias.startswith("#") or ":" not in alias:
            raise InvalidParam(f"Not a room alias: {alias}")
    if new:
        async with tenant.database.read() as tx:
            rooms = await rooms_of_aliases(tx, new)
        # «M_BAD_ALIAS: one or more aliases do not point at the room» (setRoomStateWithKey)
        if any(rooms.get(alias) != head.room_id for alias in new):
            raise BadAlias


def _aliases(content: dict[str, Any]) -> frozenset[str]:
    alias, more = content.get("alias"), content.get("alt_aliases", [])
    if not isinstance(more, list) or not all(isinstance(other, str) for other in more):
        raise BadJson("alt_aliases must be a list of strings")
    if alias is not None and not isinstance(alias, str):
        raise BadJson("alias must be a string")
    return frozenset((*more, *((alias,) if alias else ())))
