"""What the server itself tells a user, in a room of its own (§Server Notices)."""

from __future__ import annotations

from protocol.build import EventDraft
from protocol.ids import EventID, RoomID, UserID, localpart_of, server_of
from protocol.matrix_error import CannotLeaveServerNoticeRoom, InvalidParam, NotFound, Unrecognized, UserInUse
from services.accounts.create import create_account
from services.profiles import set_profile_field
from services.requester import Requester
from services.rooms.create import CreateRoom, create_room
from services.rooms.send import send_event
from services.settings import ServerNotices
from services.tenant import Tenant
from storage.account_data import tag_change
from storage.accounts import get_account
from storage.membership import Membership, membership_of
from storage.server_notices import locked_notice_room, set_notice_room

TAG = "m.server_notice"


async def send_notice(
    tenant: Tenant, user_id: UserID, draft: EventDraft, txn_id: str | None = None
) -> EventID:
    """Tells a user of ours something; who has left the room is invited again. With a transaction ID it is told once.

    Raises Unrecognized where notices are not configured, InvalidParam for users of other servers, NotFound for none.
    """
    speaker = Requester(UserID(_settings(tenant).user_id))
    if server_of(user_id) != tenant.name:
        raise InvalidParam("Only users of this server can be told something")
    async with tenant.database.read() as tx:
        account = await get_account(tx, user_id)
    if account is None or account.deactivated:
        raise NotFound("There is no such user")
    room_id = await _room(tenant, speaker, user_id)
    return await send_event(tenant, speaker, room_id, draft, txn_id)


def refuse_to_decline(tenant: Tenant, invite: Membership) -> None:
    """Raises CannotLeaveServerNoticeRoom for an invite that comes from the server itself."""
    # «Attempting to reject the invite must result in a M_CANNOT_LEAVE_SERVER_NOTICE_ROOM error.»
    notices = tenant.settings.server_notices
    if notices is not None and invite.membership == "invite" and invite.sender == notices.user_id:
        raise CannotLeaveServerNoticeRoom


async def _room(tenant: Tenant, speaker: Requester, user_id: UserID) -> RoomID:
    """«Servers should manage exactly 1 server notices room per user»: it, to which the user is at least invited."""
    async with tenant.database.transaction() as tx:
        room_id = await locked_notice_room(tx, user_id)
        if room_id is None:
            room_id = await _make_room(tenant, speaker, user_id)
            await set_notice_room(tx, user_id, room_id)
            return room_id
        membership = await membership_of(tx, room_id, user_id)
    if membership is None or membership.membership not in ("join", "invite"):
        await send_event(
            tenant, speaker, room_id, EventDraft("m.room.member", {"membership": "invite"}, user_id)
        )
    return room_id


async def _make_room(tenant: Tenant, speaker: Requester, user_id: UserID) -> RoomID:
    settings = _settings(tenant)
    await _make_speaker(tenant, speaker, settings)
    avatar = (EventDraft("m.room.avatar", {"url": settings.avatar}, ""),) if settings.avatar else ()
    request = CreateRoom(
        preset="private_chat",
        name=settings.room_name,
        invite=(user_id,),
        initial_state=avatar,
        creation_content={"m.federate": False},
        # The user may read here, and leave; nothing else.
        power_level_override={"users_default": -10},
    )
    room_id = await create_room(tenant, speaker, request)
    await tenant.journal.append(tag_change(user_id, room_id, TAG, "{}"))
    return room_id


async def _make_speaker(tenant: Tenant, speaker: Requester, settings: ServerNotices) -> None:
    """The account is made when it is first needed; nobody can log in with it."""
    try:
        await create_account(tenant, localpart_of(speaker.user_id), None)
    except UserInUse:
        return
    await set_profile_field(tenant, speaker, "displayname", settings.display_name)
    if settings.avatar:
        await set_profile_field(tenant, speaker, "avatar_url", settings.avatar)


def _settings(tenant: Tenant) -> ServerNotices:
    if tenant.settings.server_notices is None:
        raise Unrecognized("Server notices are not enabled")
    return tenant.settings.server_notices
