"""Replacing a room by a new one of another version (§Room Upgrades): both rooms change in one step."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from protocol.build import EventDraft
from protocol.events import (
    CREATE,
    HISTORY_VISIBILITY,
    JOIN_RULES,
    MEMBER,
    POWER_LEVELS,
    Event,
    StateKey,
    StateMap,
)
from protocol.ids import EventID, RoomID, UserID
from protocol.json import JsonObject
from protocol.matrix_error import Forbidden, Unknown
from protocol.room_versions import RoomVersion
from services.accounts.standing import refuse_suspended
from services.aliases import aliases_changed
from services.requester import Requester
from services.rooms.append import ATTEMPTS, committed
from services.rooms.create import new_room_id, offered_version
from services.rooms.group import Group, commit_groups
from services.rooms.head import Head, UnknownRoom
from services.rooms.membership.bring_along import bring_along
from services.rooms.membership.profile import filled_in
from services.rooms.policy import policy_server_of, signed_by_policy
from services.rooms.presets import GUEST_ACCESS
from services.rooms.upgraded_levels import closed_levels, copied_levels, raised_levels
from services.tenant import Tenant
from storage.journal import Row, Stale
from storage.room_aliases import MOVE_ALIASES, MOVE_PUBLICATION
from storage.rooms import current_state_of_types

TOMBSTONE = "m.room.tombstone"
CANONICAL_ALIAS = "m.room.canonical_alias"
SPACE_CHILD = "m.space.child"
IMAGE_PACKS = ("m.room.image_pack", "im.ponies.room_emotes")
"""By their name since v1.19, and by the one that clients in use (MSC2545) had before."""
_OF_ANY_KEY = (SPACE_CHILD, *IMAGE_PACKS)

_COPIED: tuple[StateKey, ...] = tuple(
    (event_type, "")
    for event_type in (
        JOIN_RULES,
        HISTORY_VISIBILITY,
        GUEST_ACCESS,
        "m.room.name",
        "m.room.topic",
        "m.room.avatar",
        "m.room.encryption",
        "m.room.server_acl",
    )
)
_READ: tuple[StateKey, ...] = (*_COPIED, (CREATE, ""), (POWER_LEVELS, ""), (CANONICAL_ALIAS, ""))
# What a new room says of itself, not of what it comes from.
_NOT_COPIED = frozenset(("creator", "room_version", "predecessor", "additional_creators"))


@dataclass(frozen=True, slots=True)
class _Upgrade:
    """Who makes which room into what; `state` is the old room's."""

    user_id: UserID
    version: RoomVersion
    more_creators: tuple[UserID, ...]
    old: Head
    state: StateMap


async def upgrade_room(
    tenant: Tenant, requester: Requester, room_id: RoomID, new_version: str, more_creators: Sequence[UserID]
) -> RoomID:
    """The ID of the room that takes this one's place. Raises UnsupportedRoomVersion, Forbidden."""
    refuse_suspended(requester)
    version = offered_version(new_version)
    more_creators = tuple(user for user in dict.fromkeys(more_creators) if user != requester.user_id)
    for _ in range(ATTEMPTS):
        try:
            return await _upgrade(tenant, requester, room_id, version, more_creators)
        except Stale:
            continue
        except UnknownRoom:
            raise Forbidden("You are not in this room") from None
    raise Unknown("The room is too busy: try again", status=503)


async def _upgrade(
    tenant: Tenant, requester: Requester, room_id: RoomID, version: RoomVersion, more: tuple[UserID, ...]
) -> RoomID:
    async with tenant.heads.locked(room_id) as old:
        state = await old.state_events(tenant.database, _READ)
        async with tenant.database.read() as tx:
            more_state = await current_state_of_types(tx, room_id, old.room_version, (MEMBER, *_OF_ANY_KEY))
        upgrade = _Upgrade(requester.user_id, version, more, old, {**more_state, **state})
        before, policy = old.extremities, await policy_server_of(tenant, old)
        closing, opening = await _replace(tenant, upgrade)
        new = opening.head
        if policy is None:
            done = _commit(tenant, closing, opening)
    if policy is not None:
        signed = [await signed_by_policy(tenant, policy, event) for event in closing.events]
        done = await _commit_signed(tenant, signed, opening, before)
    await committed(done)
    tenant.heads.adopt(new)
    await aliases_changed(tenant, room_id)
    create = new.known((CREATE, ""))
    if create is not None:
        await bring_along(tenant, requester.user_id, new.room_id, create)
    return new.room_id


def _commit(tenant: Tenant, old: Group, new: Group) -> asyncio.Future[list[int]]:
    moved = (old.head.room_id, new.head.room_id)
    return commit_groups(tenant, (old, new), (Row(MOVE_ALIASES, moved), Row(MOVE_PUBLICATION, moved)))


async def _commit_signed(
    tenant: Tenant, signed: Sequence[Event], new: Group, before: Sequence[EventID]
) -> asyncio.Future[list[int]]:
    """The same with the old room's events as its policy server has signed them; raises Stale where it has gone on meanwhile."""
    async with tenant.heads.locked(signed[0].room_id) as head:
        if head.extremities != before:
            raise Stale
        old = Group(tenant, head)
        for event in signed:
            await old.put(event)
        return _commit(tenant, old, new)


async def _replace(tenant: Tenant, upgrade: _Upgrade) -> tuple[Group, Group]:
    """What there is to be added to the old room and to the new."""
    old, user_id = Group(tenant, upgrade.old), upgrade.user_id
    new = Group(tenant, Head(new_room_id(tenant, upgrade.version), upgrade.version))
    predecessor: JsonObject = {"room_id": upgrade.old.room_id}
    if upgrade.version.room_id_is_create_hash:
        # «the new room's ID is not known before its create event» (room version 12): so no event ID of the tombstone
        await new.add(user_id, _create_draft(upgrade, predecessor))
        await old.add(user_id, _tombstone(new.head.room_id))
    else:
        tombstone = await old.add(user_id, _tombstone(new.head.room_id))
        await new.add(user_id, _create_draft(upgrade, {**predecessor, "event_id": tombstone.event_id}))
    await _furnish(tenant, new, upgrade)
    await _close(old, upgrade)
    return old, new


def _tombstone(replacement: RoomID) -> EventDraft:
    content = {"body": "This room has been replaced", "replacement_room": replacement}
    return EventDraft(TOMBSTONE, content, "")


def _create_draft(upgrade: _Upgrade, predecessor: JsonObject) -> EventDraft:
    old = upgrade.state[CREATE, ""].content
    content = {key: value for key, value in old.items() if key not in _NOT_COPIED}
    content |= {"room_version": upgrade.version.id, "predecessor": predecessor}
    if not upgrade.version.implicit_creator:
        content["creator"] = upgrade.user_id
    if upgrade.version.creator_power and upgrade.more_creators:
        content["additional_creators"] = list(upgrade.more_creators)
    return EventDraft(CREATE, content, "")


async def _furnish(tenant: Tenant, new: Group, upgrade: _Upgrade) -> None:
    """Gives the new room what the old one had, by somebody who has all power until that is done."""
    user_id, state = upgrade.user_id, upgrade.state
    await new.add(user_id, await filled_in(tenant, EventDraft(MEMBER, {"membership": "join"}, user_id)))
    creators = (user_id, *upgrade.more_creators)
    levels = copied_levels(upgrade.old.room_version, upgrade.version, state, creators)
    raised = levels if upgrade.version.creator_power else raised_levels(levels, user_id)
    await new.add(user_id, EventDraft(POWER_LEVELS, raised, ""))
    for key in _COPIED:
        if key in state:
            await new.add(user_id, EventDraft(key[0], _fitting(key, state[key].content, upgrade.version), ""))
    if (CANONICAL_ALIAS, "") in state:
        await new.add(user_id, EventDraft(CANONICAL_ALIAS, state[CANONICAL_ALIAS, ""].content, ""))
    for (event_type, state_key), event in state.items():
        if event_type in _OF_ANY_KEY and event.content:
            await _add_if_allowed(new, user_id, EventDraft(event_type, event.content, state_key))
        elif event.membership == "ban":
            await _add_if_allowed(new, user_id, EventDraft(MEMBER, event.content, state_key))
    if raised is not levels:
        await new.add(user_id, EventDraft(POWER_LEVELS, levels, ""))


def _fitting(key: StateKey, content: JsonObject, version: RoomVersion) -> JsonObject:
    """The content; where the version does not know the join rule, who comes must be invited."""
    rule = content.get("join_rule")
    unknown = (
        (rule == "knock" and not version.knock_join_rule)
        or (rule == "restricted" and not version.restricted_join_rule)
        or (rule == "knock_restricted" and not version.knock_restricted_join_rule)
    )
    return {"join_rule": "invite"} if key[0] == JOIN_RULES and unknown else content


async def _close(old: Group, upgrade: _Upgrade) -> None:
    """«the server SHOULD [...] restrict sending messages in the old room»; what the user may not do is left undone."""
    user_id, state = upgrade.user_id, upgrade.state
    if (CANONICAL_ALIAS, "") in state:
        await _add_if_allowed(old, user_id, EventDraft(CANONICAL_ALIAS, {}, ""))
    levels = state.get((POWER_LEVELS, ""))
    if levels is not None:
        closed = closed_levels(levels.content, upgrade.old.room_version)
        await _add_if_allowed(old, user_id, EventDraft(POWER_LEVELS, closed, ""))


async def _add_if_allowed(group: Group, user_id: UserID, draft: EventDraft) -> None:
    try:
        await group.add(user_id, draft)
    except Forbidden:
        return
