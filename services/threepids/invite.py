"""Inviting somebody of whom only an address is known (§Third-party invites)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from protocol.auth.levels import PowerLevels
from protocol.build import EventDraft
from protocol.events import CREATE, JOIN_RULES, MEMBER, POWER_LEVELS, THIRD_PARTY_INVITE, StateKey
from protocol.ids import RoomID
from protocol.json import JsonObject
from protocol.matrix_error import Forbidden
from services.accounts.standing import refuse_suspended
from services.requester import Requester
from services.rooms.membership.others import invite
from services.rooms.membership.whole import until_whole
from services.rooms.send import send_event
from services.tenant import Tenant
from services.threepids.addresses import canonical
from services.threepids.identity import identity_server, published_user, store_invite
from services.threepids.lookup import user_with

_TOLD: Final = (
    ("room_name", "m.room.name", "name"),
    ("room_alias", "m.room.canonical_alias", "alias"),
    ("room_avatar_url", "m.room.avatar", "url"),
    ("room_join_rules", JOIN_RULES, "join_rule"),
    ("room_type", CREATE, "type"),
)
"""What the identity server is told of the room: the name that it has there, the state, and the member of its content."""


@dataclass(frozen=True, slots=True)
class ThirdParty:
    """Somebody to be invited, and the identity server that may know them."""

    medium: str
    address: str
    id_server: str
    id_access_token: str


async def invite_third_party(
    tenant: Tenant, requester: Requester, room_id: RoomID, guest: ThirdParty, content: JsonObject
) -> None:
    """Invites the user whose address it is; where nobody has it yet, the identity server keeps the invite until then.

    Raises what an invite raises, InvalidParam, ServerNotTrusted, OutsideFailed and what the identity server answers.
    """
    refuse_suspended(requester)
    address = canonical(guest.medium, guest.address)
    user_id = None
    if not tenant.settings.threepids.hide_known:  # else whoever can invite could learn whose an address is
        user_id = await user_with(tenant, guest.medium, address)
    if user_id is None:
        server = identity_server(tenant, guest.id_server, guest.id_access_token)
        state = await _state(tenant, requester, room_id)
        user_id = await published_user(tenant, server, guest.medium, address)
    if user_id is not None:
        await invite(tenant, requester, room_id, user_id, content)
        return
    told = {"medium": guest.medium, "address": address, "room_id": room_id, "sender": requester.user_id}
    stored = await store_invite(tenant, server, {**told, **state})
    draft = EventDraft(THIRD_PARTY_INVITE, stored.content, stored.token)
    await send_event(tenant, requester, room_id, draft)


async def _state(tenant: Tenant, requester: Requester, room_id: RoomID) -> dict[str, str]:
    """What the mail to the guest may say; raises Forbidden for one who may not invite, before anybody gets a mail."""
    await until_whole(tenant, room_id)
    me: StateKey = (MEMBER, requester.user_id)
    keys = [(CREATE, ""), (POWER_LEVELS, ""), me, *((kind, "") for _, kind, _ in _TOLD)]
    async with tenant.heads.locked(room_id) as head:
        state = await head.state_events(tenant.database, keys)
    if me not in state or state[me].membership != "join" or (CREATE, "") not in state:
        raise Forbidden("You are not in this room")
    levels = PowerLevels.of(head.room_version, state[CREATE, ""], state.get((POWER_LEVELS, "")))
    if levels.of_user(requester.user_id) < levels.invite:
        raise Forbidden("You may not invite to this room")
    wanted = [(name, (kind, ""), member) for name, kind, member in _TOLD]
    wanted += [("sender_display_name", me, "displayname"), ("sender_avatar_url", me, "avatar_url")]
    found = {name: state[key].content.get(member) for name, key, member in wanted if key in state}
    return {name: value for name, value in found.items() if isinstance(value, str)}
