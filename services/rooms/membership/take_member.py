"""Membership events of users of other servers that are handed in to us (send_join, send_leave, send_knock)."""

from __future__ import annotations

from collections.abc import Mapping

from protocol.errors import InvalidId, ProtocolError
from protocol.event_format import parse_pdu
from protocol.events import CREATE, JOIN_RULES, MEMBER, POWER_LEVELS, Event
from protocol.hashes import has_good_content_hash
from protocol.ids import EventID, RoomID, ServerName, UserID, server_of
from protocol.matrix_error import Forbidden, InvalidParam
from protocol.room_versions import RoomVersion
from protocol.signing import sign_event
from services.rooms.membership.resident import check_resident
from services.rooms.membership.restricted import (
    AUTHORISED_VIA,
    check_conditions,
    is_restricted,
    may_authorise,
)
from services.rooms.policy import received_under_policy, under_policy
from services.rooms.receive.check import checked_pdus
from services.rooms.receive.place import Missing, receive_event
from services.tenant import Tenant
from storage.events import Standing, event_by_id
from storage.servers.handshakes import relay


async def take_member(
    tenant: Tenant,
    origin: ServerName,
    room_id: RoomID,
    event_id: EventID,
    pdu: object,
    membership: str,
) -> Event:
    """The event, in the room, with our signature too where we vouch for it; the same again changes nothing.

    Raises InvalidParam for what is not such a membership of a user of the origin, NotFound for a room that we are not in,
    Forbidden where the event is not allowed.
    """
    await check_resident(tenant, room_id, origin)
    async with tenant.heads.locked(room_id) as head:
        version = head.room_version
    event = _member_event(version, origin, room_id, event_id, pdu, membership)
    if membership == "join":
        event = await _vouched_for(tenant, event)
    checked = await checked_pdus(tenant, version, [event.json])
    if not checked.events:
        raise InvalidParam(f"The event cannot be verified: {checked.dropped[0][1]}")
    event = await under_policy(tenant, event)
    async with tenant.database.transaction() as tx:
        known = await event_by_id(tx, event_id)
        if known is None:
            await relay(tx, event_id)
    if known is not None and known.standing <= Standing.HISTORY:
        return known.event
    signed = await received_under_policy(tenant, event)
    if signed is None:
        raise Forbidden("The room's policy server has not signed this")
    try:
        placed = await receive_event(tenant, signed, origin)
    except Missing:
        raise InvalidParam("The event names events that are not known here") from None
    if placed.standing > Standing.HISTORY:
        raise Forbidden(placed.reason)
    return signed


def _member_event(
    version: RoomVersion,
    origin: ServerName,
    room_id: RoomID,
    event_id: EventID,
    pdu: object,
    membership: str,
) -> Event:
    try:
        event = parse_pdu(pdu, version)
        sender_server = server_of(event.sender)
    except (ProtocolError, InvalidId) as error:
        raise InvalidParam(f"Not an event of this room's version: {error}") from None
    if event.room_id != room_id or event.event_id != event_id:
        raise InvalidParam("The event is not the one that the path names")
    if event.type != MEMBER or event.membership != membership or event.state_key != event.sender:
        raise InvalidParam(f"The event is not one by which a user comes to {membership}")
    if sender_server != origin:
        raise InvalidParam("The event is not of a user of yours")
    if not has_good_content_hash(event):
        raise InvalidParam("The event's content is not what its hash says")
    return event


async def _vouched_for(tenant: Tenant, join: Event) -> Event:
    """The join with our signature, if a user of ours is to vouch for it and the conditions are (still) met.

    «If the resident server is receiving the /send_join request, the signature must be added before sending or persisting
    the event to other servers.»
    """
    via = join.content.get(AUTHORISED_VIA)
    if not join.version.restricted_join_rule or not isinstance(via, str) or not _is_of(via, tenant.name):
        return join
    keys = ((CREATE, ""), (POWER_LEVELS, ""), (JOIN_RULES, ""), (MEMBER, join.sender))
    async with tenant.heads.locked(join.room_id) as head:
        state: Mapping[tuple[str, str], Event] = await head.state_events(tenant.database, keys)
    member = state.get((MEMBER, join.sender))
    if member is None or member.membership not in ("join", "invite"):
        if not is_restricted(head, state):
            raise Forbidden("This room is not one that the members of others may join")
        async with tenant.database.read() as tx:
            await check_conditions(tx, state, join.sender)
            if not await may_authorise(tx, head, state, UserID(via)):
                raise Forbidden("The user who is to vouch for the join may not invite")
    return sign_event(join, tenant.name, tenant.signing_key)


def _is_of(user_id: str, server: ServerName) -> bool:
    try:
        return server_of(user_id) == server
    except InvalidId:
        return False
