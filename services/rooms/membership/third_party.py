"""Third-party invites whose guest has become known (§Third-party invites): the ordinary invite that follows from them.

What makes such an invite good is the identity server's signature over user and token, which the authorisation rules
hold against the keys in the room's m.room.third_party_invite.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from protocol.auth.third_party import keys_that_signed
from protocol.build import EventDraft
from protocol.errors import InvalidId, ProtocolError
from protocol.events import MEMBER, THIRD_PARTY_INVITE
from protocol.ids import RoomID, ServerName, UserID, server_of
from protocol.json import JsonObject
from protocol.matrix_error import Forbidden, MatrixError, Translated
from services.rooms.append import append, commit, committed
from services.rooms.compose import compose
from services.rooms.membership.invite_checks import check_wants_invites
from services.rooms.membership.invite_elsewhere import invite_elsewhere, is_for_elsewhere
from services.rooms.membership.key_validity import check_key_is_valid
from services.rooms.membership.resident import check_resident
from services.rooms.policy import under_policy
from services.tenant import Tenant
from storage.journal import Stale
from storage.servers.handshakes import residence
from storage.servers.partial_rooms import is_partial

ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class BoundInvite:
    """An invite that an identity server held ready: who sent it to what room, and its signature for the guest."""

    room_id: RoomID
    sender: UserID
    guest: UserID
    signed: JsonObject


async def bind_invites(tenant: Tenant, invites: Sequence[BoundInvite]) -> None:
    """Makes invites of them, here or at the server of the one who invited. One that is not good harms no other."""
    for invite in invites:
        try:
            if server_of(invite.guest) == tenant.name:
                await _bind(tenant, invite)
        except (MatrixError, ProtocolError, Translated):
            continue


async def _bind(tenant: Tenant, invite: BoundInvite) -> None:
    async with tenant.database.read() as tx:
        here = await residence(tx, invite.room_id)
        partial = await is_partial(tx, invite.room_id)
    if here.is_resident and not partial:
        await _invite(tenant, invite.room_id, invite.sender, invite.guest, invite.signed)
        return
    event = {
        "type": MEMBER,
        "room_id": invite.room_id,
        "sender": invite.sender,
        "state_key": invite.guest,
        "content": {"membership": "invite", "third_party_invite": _named("", invite.signed)},
    }
    await tenant.remotes.exchange_third_party_invite(server_of(invite.sender), invite.room_id, event)


async def exchange_invite(
    tenant: Tenant, origin: ServerName, room_id: RoomID, guest: UserID, signed: JsonObject
) -> None:
    """Invites the guest, whose server asks for it, in the name of the user of ours who sent the third-party invite.

    Raises NotFound for a room that we are not in, Forbidden where there is no such third-party invite or its key has been
    revoked, OutsideFailed where nobody says whether it has.
    """
    if server_of(guest) != origin:
        raise Forbidden("This is not a user of yours")
    await check_resident(tenant, room_id, origin)
    token = signed.get("token")
    key = (THIRD_PARTY_INVITE, token if isinstance(token, str) else "")
    async with tenant.heads.locked(room_id) as head:
        pledge = (await head.state_events(tenant.database, (key,))).get(key)
    if pledge is None or not _is_of(pledge.sender, tenant.name):
        raise Forbidden("No user of ours has sent such an invite")
    await _invite(tenant, room_id, pledge.sender, guest, signed)


async def _invite(tenant: Tenant, room_id: RoomID, sender: UserID, guest: UserID, signed: JsonObject) -> None:
    key = (THIRD_PARTY_INVITE, str(signed.get("token")))
    async with tenant.heads.locked(room_id) as head:
        pledge = (await head.state_events(tenant.database, (key,))).get(key)
    if pledge is not None:
        await check_key_is_valid(tenant, keys_that_signed(signed, pledge.content))
    shown = pledge.content.get("display_name") if pledge is not None else None
    content = {
        "membership": "invite",
        "third_party_invite": _named(shown if isinstance(shown, str) else "", signed),
    }
    draft = EventDraft(MEMBER, content, guest)
    if is_for_elsewhere(tenant, draft):
        await invite_elsewhere(tenant, sender, room_id, draft)
        return
    await check_wants_invites(tenant, guest, sender)
    for _ in range(ATTEMPTS):
        async with tenant.heads.locked(room_id) as head:
            before = head.extremities
            event = await compose(tenant, head, sender, draft)
        event = await under_policy(tenant, event)
        async with tenant.heads.locked(room_id) as head:
            if head.extremities != before:
                continue  # the room has gone on meanwhile
            done = commit(tenant, [await append(tenant, head, event)], head)
        try:
            await committed(done)
        except Stale:
            continue
        return


def _named(display_name: str, signed: JsonObject) -> JsonObject:
    return {"display_name": display_name, "signed": signed}


def _is_of(user_id: str, server: ServerName) -> bool:
    try:
        return server_of(user_id) == server
    except InvalidId:
        return False
