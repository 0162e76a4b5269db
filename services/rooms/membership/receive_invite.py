"""An invite of a user of ours to a room of another server (§Inviting to a room)."""

from __future__ import annotations

from collections.abc import Sequence

from protocol.errors import InvalidId, ProtocolError
from protocol.event_format import parse_pdu
from protocol.events import MEMBER, Event
from protocol.hashes import has_good_content_hash
from protocol.ids import EventID, RoomID, ServerName, UserID, parse_user_id, server_of
from protocol.matrix_error import Forbidden, InvalidParam, NotFound
from protocol.room_versions import RoomVersion
from protocol.signing import sign_event
from services.appservices.queries import user_is_there
from services.rooms.membership.invite_checks import check_wants_invites
from services.rooms.membership.outlier import put_outlier
from services.rooms.membership.resident import check_acl
from services.rooms.membership.stripped import Shown, shown
from services.rooms.receive.check import checked_pdus
from services.tenant import Tenant
from storage.accounts import get_account
from storage.membership import membership_of
from storage.servers.handshakes import residence


async def receive_invite(
    tenant: Tenant,
    origin: ServerName,
    version: RoomVersion,
    room_id: RoomID,
    event_id: EventID,
    pdu: object,
    state: Sequence[object],
) -> Event:
    """The invite with our signature, when the user has been told of it. Raises InvalidParam for what is no invite by the
    origin of a user of ours, NotFound, InviteBlocked or Forbidden where we do not sign it.
    """
    invite, guest = _invite(tenant, origin, version, room_id, event_id, pdu)
    await user_is_there(tenant, guest)
    async with tenant.database.read() as tx:
        here = await residence(tx, room_id)
        account = await get_account(tx, guest)
        before = await membership_of(tx, room_id, guest)
    if account is None and tenant.appservices.owner_of_user(guest) is None:
        raise NotFound("There is no such user here")
    if account is not None and account.deactivated:
        raise Forbidden("This account has been deactivated")
    if account is None or account.appservice is None:
        await check_wants_invites(tenant, guest, invite.sender)
    if here.is_resident:
        await check_acl(tenant, room_id, origin)
    checked = await checked_pdus(tenant, version, [pdu])
    if not checked.events:
        raise InvalidParam(f"The invite cannot be verified: {checked.dropped[0][1]}")
    signed = sign_event(invite, tenant.name, tenant.signing_key)
    seen = await _seen(tenant, version, room_id, state)
    # «if the remote homeserver is already in the room, it will receive the invite event twice»
    if not here.is_resident:
        if before is not None and before.membership == "join":
            raise Forbidden("This user is in the room already")
        await put_outlier(tenant, signed, origin, seen.for_client(guest))
    return signed


def _invite(
    tenant: Tenant, origin: ServerName, version: RoomVersion, room_id: RoomID, event_id: EventID, pdu: object
) -> tuple[Event, UserID]:
    """«Servers MUST apply certain validation to ensure they don't accidentally sign non-invite events»."""
    try:
        event = parse_pdu(pdu, version)
        guest = parse_user_id(event.state_key or "")
        sender_server = server_of(event.sender)
    except (ProtocolError, InvalidId) as error:
        raise InvalidParam(f"Not an invite: {error}") from None
    if event.room_id != room_id or event.event_id != event_id:
        raise InvalidParam("The event is not the one that the path names")
    if event.type != MEMBER or event.membership != "invite":
        raise InvalidParam("The event is no invite")
    if sender_server != origin:
        raise InvalidParam("The invite is not of a user of yours")
    if server_of(guest) != tenant.name:
        raise InvalidParam("The invite is not for a user of ours")
    if not has_good_content_hash(event):
        raise InvalidParam("The event's content is not what its hash says")
    return event, guest


async def _seen(tenant: Tenant, version: RoomVersion, room_id: RoomID, state: Sequence[object]) -> Shown:
    seen = await shown(tenant, version, room_id, state)
    # «servers MAY apply [this] to room versions 1 through 11 and SHOULD apply [it] to all other room versions»
    if version.room_id_is_create_hash:
        if not seen.has_create:
            raise InvalidParam("The room's create event is missing from invite_room_state")
        if len(seen.events) < len(state):
            raise InvalidParam("invite_room_state has events that cannot be verified, or of another room")
    return seen
