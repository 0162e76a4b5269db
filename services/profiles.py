"""Profiles (§Profiles): a user's name, picture and further fields; rooms show the first two in the member event."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import orjson

from protocol.build import EventDraft
from protocol.errors import ProtocolError
from protocol.events import MEMBER
from protocol.ids import RoomID, ServerName, UserID, server_of
from protocol.json import JsonObject
from protocol.matrix_error import (
    BadJson,
    Forbidden,
    GuestAccessForbidden,
    InvalidParam,
    KeyTooLarge,
    MatrixError,
    NotFound,
    ProfileTooLarge,
)
from services.accounts.standing import refuse_suspended
from services.appservices.queries import make_user
from services.requester import Requester
from services.rooms.send import send_event
from services.tenant import Tenant
from storage.profiles import Appearance, appearances_of, lock_profile, profile_of, replace_profile
from storage.servers.serving import shares_room

MAX_PROFILE_BYTES = 64 * 1024
MAX_KEY_BYTES = 255
MAX_LENGTHS = {"displayname": 256, "avatar_url": 1000}
"""Characters. These two go into member events, which must stay small."""
ROOMS_AT_ONCE = 10
_TEXTS = (*MAX_LENGTHS, "m.tz")

NOTHING_YET = object()

# «avatar_url, displayname, m.tz, or a custom field following the Common Namespaced Identifier Grammar»
_KEY = re.compile(r"avatar_url|displayname|[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+")


async def get_profile(tenant: Tenant, user_id: UserID) -> JsonObject:
    """All fields; raises NotFound for users that there are not, and where another server does not say."""
    if server_of(user_id) != tenant.name:
        return _without_nonsense(await tenant.remotes.profile(user_id))
    fields = await _fields(tenant, user_id)
    if fields is None and await make_user(tenant, user_id):
        fields = await _fields(tenant, user_id)
    if fields is None:
        raise NotFound("There is no such user")
    profile: JsonObject = orjson.loads(fields)
    return profile


async def _fields(tenant: Tenant, user_id: UserID) -> bytes | None:
    async with tenant.database.read() as tx:
        return await profile_of(tx, user_id)


async def profile_for_server(
    tenant: Tenant, server: ServerName, user_id: UserID, field: str | None
) -> JsonObject:
    """What another server sees of a user of ours, all or one field; raises NotFound, and Forbidden where the settings
    keep profiles from servers that share no room with the user.
    """
    if not tenant.settings.federation.share_profiles:
        async with tenant.database.read() as tx:
            if not await shares_room(tx, user_id, server):
                # «The server is unwilling to disclose whether the user exists and/or has profile information.»
                raise Forbidden("This server does not show this profile to yours")
    if field is None:
        return await get_profile(tenant, user_id)
    return await get_profile_field(tenant, user_id, field)


async def get_profile_field(tenant: Tenant, user_id: UserID, key: str) -> JsonObject:
    """The field alone; raises NotFound also when the user has not set it."""
    if server_of(user_id) != tenant.name:
        profile = _without_nonsense(await tenant.remotes.profile(user_id, key))
    else:
        profile = await get_profile(tenant, user_id)
    if key not in profile:
        raise NotFound("The profile does not have this field")
    return {key: profile[key]}


def _without_nonsense(told: JsonObject) -> JsonObject:
    """Another server's word for a profile, without what clients would stumble over."""
    return {
        name: value
        for name, value in told.items()
        if name not in _TEXTS
        or (isinstance(value, str) and len(value) <= MAX_LENGTHS.get(name, MAX_KEY_BYTES))
    }


async def set_profile_field(tenant: Tenant, requester: Requester, key: str, value: Any) -> None:
    """Sets the requester's field, and shows a new name or picture in all rooms before it returns.

    Raises InvalidParam, BadJson, KeyTooLarge, ProfileTooLarge or GuestAccessForbidden.
    """
    check_key(requester, key)
    if key in MAX_LENGTHS and value in ("", None):
        # COMPAT clients that take back their name or picture with "" or null.
        return await delete_profile_field(tenant, requester, key)
    _check_value(key, value)
    async with tenant.database.transaction() as tx:
        profile = orjson.loads(await lock_profile(tx, requester.user_id))
        profile[key] = value
        fields = orjson.dumps(profile)
        if len(fields) > MAX_PROFILE_BYTES:
            raise ProfileTooLarge
        await replace_profile(tx, requester.user_id, fields)
    if key in MAX_LENGTHS:
        await _show(tenant, requester, key)
    return None


async def delete_profile_field(tenant: Tenant, requester: Requester, key: str) -> None:
    """Takes the requester's field away, if it is there; raises as `set_profile_field` does."""
    check_key(requester, key)
    async with tenant.database.transaction() as tx:
        profile = orjson.loads(await lock_profile(tx, requester.user_id))
        if profile.pop(key, None) is not None:
            await replace_profile(tx, requester.user_id, orjson.dumps(profile))
    if key in MAX_LENGTHS:
        await _show(tenant, requester, key)


def check_key(requester: Requester, key: str) -> None:
    """Raises KeyTooLarge, InvalidParam, GuestAccessForbidden or UserSuspended when the requester may not set this."""
    refuse_suspended(requester)
    if len(key.encode()) > MAX_KEY_BYTES:
        raise KeyTooLarge
    if not _KEY.fullmatch(key):
        raise InvalidParam("This cannot be the name of a profile field")
    if requester.is_guest and key != "displayname":
        raise GuestAccessForbidden


def _check_value(key: str, value: Any) -> None:
    if key in _TEXTS and not isinstance(value, str):
        raise BadJson(f"{key} must be a string")
    most = MAX_LENGTHS.get(key)
    if most is not None and len(value) > most:
        raise InvalidParam(f"{key} has more than {most} characters")


async def _show(tenant: Tenant, requester: Requester, key: str) -> None:
    """All rooms show what the profile says, also when somebody else changes it meanwhile: the last one looks last."""
    shown: object = NOTHING_YET
    while (value := await _value(tenant, requester.user_id, key)) != shown:
        await _show_in_rooms(tenant, requester, key, value)
        shown = value


async def _value(tenant: Tenant, user_id: UserID, key: str) -> str | None:
    async with tenant.database.read() as tx:
        fields = await profile_of(tx, user_id)
    value: str | None = orjson.loads(fields).get(key) if fields is not None else None
    return value


async def _show_in_rooms(tenant: Tenant, requester: Requester, key: str, value: str | None) -> None:
    async with tenant.database.read() as tx:
        appearances = await appearances_of(tx, requester.user_id)
    at_once = asyncio.Semaphore(ROOMS_AT_ONCE)

    async def show(appearance: Appearance) -> None:
        async with at_once:
            await _show_in_room(tenant, requester, appearance, key, value)

    await asyncio.gather(*map(show, appearances))


async def _show_in_room(
    tenant: Tenant, requester: Requester, appearance: Appearance, key: str, value: str | None
) -> None:
    content = orjson.loads(appearance.event)["content"]
    if content.get(key) == value:
        return
    # It says who let the user in, and has no place in what follows the join.
    content.pop("join_authorised_via_users_server", None)
    content.pop(key, None)
    if value is not None:
        content[key] = value
    draft = EventDraft(MEMBER, content, requester.user_id)
    try:
        await send_event(tenant, requester, RoomID(appearance.room_id), draft)
    except (MatrixError, ProtocolError):
        # The user may have left in between, or the room's rules may forbid it: the other rooms are not concerned.
        return
