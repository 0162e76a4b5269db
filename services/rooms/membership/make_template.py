"""Templates for users of other servers who want to join, leave, or knock (make_join, make_leave, make_knock)."""

from __future__ import annotations

from collections.abc import Collection

from protocol.build import EventDraft
from protocol.events import CREATE, JOIN_RULES, MEMBER, POWER_LEVELS
from protocol.ids import RoomID, ServerName, UserID, server_of
from protocol.json import JsonObject
from protocol.matrix_error import Forbidden, IncompatibleRoomVersion
from protocol.room_versions import ROOM_VERSIONS, RoomVersion
from services.guards import check_members
from services.ports import Template
from services.rooms.compose import compose
from services.rooms.head import Head
from services.rooms.membership.resident import check_resident
from services.rooms.membership.restricted import AUTHORISED_VIA, authoriser, is_restricted
from services.tenant import Tenant

_OURS = ("hashes", "signatures", "event_id")


async def make_template(
    tenant: Tenant,
    origin: ServerName,
    room_id: RoomID,
    user_id: UserID,
    membership: str,
    versions: Collection[str] | None = None,
) -> Template:
    """The event that the origin is to complete for its user, allowed as it stands; `versions` are the room versions that it
    knows, if it was to say.

    Raises Forbidden, NotFound for a room that we are not in, IncompatibleRoomVersion, and for a restricted room
    UnableToAuthoriseJoin and UnableToGrantJoin.
    """
    if server_of(user_id) != origin:
        raise Forbidden("This is not a user of yours")
    await check_resident(tenant, room_id, origin)
    content: JsonObject = {"membership": membership}
    keys = ((CREATE, ""), (POWER_LEVELS, ""), (JOIN_RULES, ""), (MEMBER, user_id))
    async with tenant.heads.locked(room_id) as head:
        state = await head.state_events(tenant.database, keys)
    _check_version(head, membership, versions)
    member = state.get((MEMBER, user_id))
    before = member.membership if member is not None else None
    if before == "ban":
        raise Forbidden("This user is banned")
    if membership == "join":
        check_members(tenant, head)
    if membership == "join" and before not in ("join", "invite") and is_restricted(head, state):
        content[AUTHORISED_VIA] = await authoriser(tenant, head, state, user_id)
    async with tenant.heads.locked(room_id) as head:
        event = await compose(tenant, head, user_id, EventDraft(MEMBER, content, user_id))
    json = {name: value for name, value in event.json.items() if name not in _OURS}
    return Template(head.room_version.id, {**json, "origin": tenant.name})


def _check_version(head: Head, membership: str, versions: Collection[str] | None) -> None:
    version: RoomVersion = head.room_version
    if versions is not None and version not in [ROOM_VERSIONS.get(name) for name in versions]:
        raise IncompatibleRoomVersion(version.id)
    if membership == "knock" and not version.knock_join_rule:
        raise Forbidden("This room takes no knocks")
