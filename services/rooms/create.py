"""Making a room, with all that it begins with, in one step."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from protocol.build import EventDraft
from protocol.errors import InvalidId
from protocol.errors import UnsupportedRoomVersion as NoSuchVersion
from protocol.events import CREATE, MEMBER, POWER_LEVELS, StateKey
from protocol.ids import (
    RoomAlias,
    RoomID,
    UserID,
    parse_room_alias,
    parse_server_name,
    parse_user_id,
    server_of,
)
from protocol.json import JsonObject
from protocol.matrix_error import (
    BadJson,
    Forbidden,
    InvalidParam,
    InvalidRoomState,
    RoomInUse,
    UnsupportedRoomVersion,
)
from protocol.room_versions import RoomVersion, version_named
from services.accounts.standing import refuse_suspended
from services.guards import check_rooms_of
from services.requester import Requester
from services.rooms.append import committed
from services.rooms.group import Group, commit_groups
from services.rooms.head import Head
from services.rooms.membership.bring_along import bring_along
from services.rooms.membership.invite_checks import check_invite, check_reachable
from services.rooms.membership.invite_elsewhere import invite_elsewhere, is_for_elsewhere
from services.rooms.membership.profile import filled_in
from services.rooms.presets import PRESET_OF_VISIBILITY, PRESETS, Preset, power_levels
from services.tenant import Tenant
from storage.journal import Row, Stale
from storage.room_aliases import CLAIM_ALIAS, PUBLISH_ROOM, rooms_of_aliases

_ROOM_ID_LENGTH = 18
_SPACES = " \t\n\r\v\f"


@dataclass(frozen=True, slots=True)
class CreateRoom:
    """What a client wants of a new room (createRoom)."""

    visibility: str = "private"
    preset: str | None = None
    room_version: str | None = None
    alias_name: str | None = None
    name: str | None = None
    topic: str | None = None
    invite: tuple[UserID, ...] = ()
    is_direct: bool = False
    creation_content: JsonObject = field(default_factory=dict)
    initial_state: tuple[EventDraft, ...] = ()
    power_level_override: JsonObject = field(default_factory=dict)


async def create_room(tenant: Tenant, requester: Requester, request: CreateRoom) -> RoomID:
    """The ID of the new room. Raises UnsupportedRoomVersion, RoomInUse, InvalidRoomState and what invites may raise."""
    refuse_suspended(requester)
    await check_rooms_of(tenant, requester)
    try:
        return await _create(tenant, requester, request)
    except Stale:
        # Rooms that are made alike in the same millisecond would have the same ID, the hash of their create events.
        salted = {**request.creation_content, "hearth.salt": tenant.random.token(_ROOM_ID_LENGTH)}
        return await _create(tenant, requester, replace(request, creation_content=salted))


async def _create(tenant: Tenant, requester: Requester, request: CreateRoom) -> RoomID:
    version = offered_version(request.room_version or tenant.settings.default_room_version)
    preset = _preset(request)
    alias = await _free_alias(tenant, requester, request)
    creator = requester.user_id
    invites = [
        await _invite(tenant, requester, guest, request.is_direct) for guest in dict.fromkeys(request.invite)
    ]
    head = Head(new_room_id(tenant, version), version)
    group = Group(tenant, head)
    try:
        await group.add(creator, _create_draft(version, preset, requester, request))
        join = EventDraft(MEMBER, {"membership": "join"}, creator)
        await group.add(creator, await filled_in(tenant, join))
        for draft in _state_drafts(version, preset, creator, request, alias):
            await group.add(creator, draft)
    except Forbidden as error:
        # «M_INVALID_ROOM_STATE: the initial state implied by the parameters to the request is invalid»
        raise InvalidRoomState(error.message) from None
    for draft in invites:
        if not is_for_elsewhere(tenant, draft):
            await group.add(creator, draft)
    await _settle(tenant, group, head, requester, request, alias)
    for draft in invites:
        if is_for_elsewhere(tenant, draft):
            await invite_elsewhere(tenant, creator, head.room_id, draft)
    create = head.known((CREATE, ""))
    if create is not None:
        await bring_along(tenant, creator, head.room_id, create)
    return head.room_id


async def _settle(
    tenant: Tenant,
    group: Group,
    head: Head,
    requester: Requester,
    request: CreateRoom,
    alias: RoomAlias | None,
) -> None:
    more = []
    if alias is not None:
        more.append(Row(CLAIM_ALIAS, (alias, head.room_id, requester.user_id, tenant.clock.now())))
    if request.visibility == "public":
        more.append(Row(PUBLISH_ROOM, (head.room_id,)))
    try:
        await committed(commit_groups(tenant, (group,), more))
    except Stale:
        if alias is not None:  # somebody else was faster
            raise RoomInUse from None
        raise
    tenant.heads.adopt(head)


def offered_version(name: str) -> RoomVersion:
    """The room version of this name; raises UnsupportedRoomVersion."""
    try:
        return version_named(name)
    except NoSuchVersion as error:
        raise UnsupportedRoomVersion(str(error)) from None


def _preset(request: CreateRoom) -> Preset:
    if request.visibility not in PRESET_OF_VISIBILITY:
        raise InvalidParam("visibility must be public or private")
    preset = request.preset or PRESET_OF_VISIBILITY[request.visibility]
    if preset not in PRESETS:
        raise InvalidParam("There is no such preset")
    return PRESETS[preset]


def new_room_id(tenant: Tenant, version: RoomVersion) -> RoomID:
    """An ID for a room to be made; empty where the create event will say it."""
    if version.room_id_is_create_hash:
        return RoomID("")
    return RoomID(f"!{tenant.random.token(_ROOM_ID_LENGTH)}:{tenant.name}")


async def _free_alias(tenant: Tenant, requester: Requester, request: CreateRoom) -> RoomAlias | None:
    if request.alias_name is None:
        return None
    localpart = request.alias_name
    if not localpart or any(c in localpart for c in (":", "#", *_SPACES)):
        raise InvalidParam("room_alias_name is not the local part of an alias")
    try:
        alias = parse_room_alias(f"#{localpart}:{tenant.name}")
    except InvalidId as error:
        raise InvalidParam(str(error)) from None
    tenant.appservices.check_alias(alias, requester.appservice)
    async with tenant.database.read() as tx:
        if await rooms_of_aliases(tx, (alias,)):
            raise RoomInUse
    return alias


async def _invite(tenant: Tenant, requester: Requester, guest: UserID, is_direct: bool) -> EventDraft:
    content: JsonObject = {"membership": "invite"}
    if is_direct:
        content["is_direct"] = True
    draft = EventDraft(MEMBER, content, guest)
    check_reachable(tenant, guest)
    await check_invite(tenant, requester, draft)
    return await filled_in(tenant, draft)


def _create_draft(
    version: RoomVersion, preset: Preset, requester: Requester, request: CreateRoom
) -> EventDraft:
    content = {**request.creation_content, "room_version": version.id}
    content.pop("creator", None)
    if not version.implicit_creator:
        content["creator"] = requester.user_id
    if version.creator_power:
        more = content.get("additional_creators", [])
        if not isinstance(more, list) or not all(isinstance(user, str) for user in more):
            raise BadJson("additional_creators must be a list of user IDs")
        try:
            for user in more:
                parse_server_name(server_of(parse_user_id(user)))
        except InvalidId as error:
            raise InvalidParam(f"additional_creators: {error}") from None
        # «trusted_private_chat: all invitees are given the same power level as the room creator», which is here:
        # they are creators.
        more = dict.fromkeys((*more, *(request.invite if preset.trusting else ())))
        more.pop(requester.user_id, None)
        content.pop("additional_creators", None)
        if more:
            content["additional_creators"] = list(more)
    return EventDraft(CREATE, content, "")


def _state_drafts(
    version: RoomVersion, preset: Preset, creator: UserID, request: CreateRoom, alias: RoomAlias | None
) -> list[EventDraft]:
    """The state after the creator's join, in the order of the specification (createRoom)."""
    given: dict[StateKey, EventDraft] = {(d.type, d.state_key or ""): d for d in request.initial_state}
    levels = given.pop((POWER_LEVELS, ""), None) or EventDraft(
        POWER_LEVELS, power_levels(version, preset, creator, request.invite if preset.trusting else ()), ""
    )
    drafts = [replace(levels, content={**levels.content, **_override(version, creator, request)})]
    if alias is not None and ("m.room.canonical_alias", "") not in given:
        drafts.append(EventDraft("m.room.canonical_alias", {"alias": alias}, ""))
    drafts += (draft for draft in preset.drafts() if (draft.type, "") not in given)
    if request.name is not None:
        given.pop(("m.room.name", ""), None)
    if request.topic is not None:
        given.pop(("m.room.topic", ""), None)
    drafts += given.values()
    if request.name is not None:
        drafts.append(EventDraft("m.room.name", {"name": request.name}, ""))
    if request.topic is not None:
        drafts.append(EventDraft("m.room.topic", topic_content(request.topic), ""))
    return drafts


def topic_content(topic: str) -> JsonObject:
    """The content of an m.room.topic, for old clients and new."""
    return {"topic": topic, "m.topic": {"m.text": [{"body": topic}]}}


def _override(version: RoomVersion, creator: UserID, request: CreateRoom) -> JsonObject:
    users = request.power_level_override.get("users")
    if users is not None and not isinstance(users, dict):
        raise BadJson("power_level_content_override.users must be an object")
    if users is not None and (creator in users) is version.creator_power:
        raise BadJson(
            "power_level_content_override.users must not name a creator"
            if version.creator_power
            else "power_level_content_override.users must name the creator"
        )
    return request.power_level_override
