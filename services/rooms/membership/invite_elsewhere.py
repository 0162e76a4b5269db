"""Inviting users of other servers (§Inviting to a room): their server signs the invite before it enters the room."""

from __future__ import annotations

from protocol.build import EventDraft
from protocol.errors import BadSignature, InvalidId
from protocol.events import CREATE, MEMBER, Event
from protocol.hashes import signed_bytes
from protocol.ids import EventID, RoomID, ServerName, UserID, server_of
from protocol.json import JsonObject
from protocol.matrix_error import Forbidden
from services.ports import RemoteFailed
from services.rooms.compose import compose
from services.rooms.membership.candidates import as_told
from services.rooms.membership.stripped import pdus_of
from services.rooms.policy import under_policy
from services.rooms.receive.place import receive_event
from services.tenant import Tenant
from storage.events import Standing

_CREATE_KEY = (CREATE, "")


def is_for_elsewhere(tenant: Tenant, draft: EventDraft) -> bool:
    """Does the draft invite a user of another server?"""
    if draft.type != MEMBER or draft.state_key is None or draft.content.get("membership") != "invite":
        return False
    try:
        return server_of(draft.state_key) != tenant.name
    except InvalidId:
        return False


async def invite_elsewhere(
    tenant: Tenant, sender: UserID, room_id: RoomID, draft: EventDraft, at: int | None = None
) -> EventID:
    """The ID of the invite, once the guest's server has taken it and it is in the room. Raises Forbidden (also for what
    the other server forbids), InviteBlocked's code, and Unknown (502) for a server that does not answer as it should.
    """
    async with tenant.heads.locked(room_id) as head:
        create = (await head.state_events(tenant.database, (_CREATE_KEY,))).get(_CREATE_KEY)
        # «m.federate: whether users on other servers can join this room»
        if create is not None and create.content.get("m.federate", True) is not True:
            raise Forbidden("This room is not for users of other servers")
        event = await compose(tenant, head, sender, draft, at)
        shown = await pdus_of(tenant, head, (MEMBER, sender))
    assert draft.state_key is not None
    event = await under_policy(tenant, event)
    signed = await _signed_by_guest(tenant, server_of(draft.state_key), event, shown)
    signed = await under_policy(tenant, signed)
    # The room may have gone on meanwhile: then the invite is a branch of it.
    placed = await receive_event(tenant, signed, tenant.name)
    if placed.standing not in (Standing.TIMELINE, Standing.HISTORY):
        raise Forbidden(placed.reason)
    return signed.event_id


async def _signed_by_guest(
    tenant: Tenant, server: ServerName, event: Event, shown: list[JsonObject]
) -> Event:
    """Our invite with the signature of the guest's server; of what came back nothing else is looked at."""
    try:
        returned = await tenant.remotes.invite(server, event.version, event, shown)
        by_server = returned.get("signatures")
        signatures = by_server.get(server) if isinstance(by_server, dict) else None
        await _check_signatures(tenant, server, event, signatures)
    except RemoteFailed as failed:
        raise as_told(failed) from failed
    json = {**event.json, "signatures": {**event.json["signatures"], server: signatures}}
    return Event.from_trusted(json, event.event_id, event.version, event.room_id)


async def _check_signatures(tenant: Tenant, server: ServerName, event: Event, signatures: object) -> None:
    by_name = signatures if isinstance(signatures, dict) else {}
    found = await tenant.remotes.verify_keys({server: dict.fromkeys(by_name, event.origin_server_ts)})
    keys = found.get(server, {})
    if not by_name or not by_name.keys() <= keys.keys():
        raise RemoteFailed(server, None, None, "it did not sign the invite")
    message = signed_bytes(event.json, event.version)
    try:
        for name, signature in by_name.items():
            keys[name].verify(message, signature)
    except BadSignature as error:
        raise RemoteFailed(server, None, None, str(error)) from None
