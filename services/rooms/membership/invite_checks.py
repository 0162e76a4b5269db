"""Whom a user of ours may not invite, whatever the room says; and who of ours does not want to be invited."""

from __future__ import annotations

from protocol.build import EventDraft
from protocol.ids import UserID, parse_user_id, server_of
from protocol.invite_permissions import Verdict
from protocol.matrix_error import Forbidden, InviteBlocked
from services.guards import count_invite, is_server
from services.likings import permissions_of
from services.requester import Requester
from services.tenant import Tenant


async def check_invite(tenant: Tenant, requester: Requester, draft: EventDraft) -> None:
    """Raises InviteBlocked when the draft invites somebody here who wants no invites; InvalidId for no user ID."""
    if draft.content.get("membership") != "invite" or draft.state_key is None:
        return
    guest = parse_user_id(draft.state_key)
    check_reachable(tenant, guest)
    await count_invite(tenant, requester)
    # «m.invite_permission_config: default_action block» does not hold for application services; nor for the server's own word.
    if requester.appservice is None and not is_server(tenant, requester):
        await check_wants_invites(tenant, guest, requester.user_id)


async def check_wants_invites(tenant: Tenant, guest: UserID, sender: UserID) -> None:
    """Raises InviteBlocked when the guest, if one of ours, wants no invites by the sender.

    What the guest only ignores enters the room as any other invite; /sync does not tell of it.
    """
    async with tenant.database.read() as tx:
        permissions = await permissions_of(tx, guest)
    if permissions.verdict(sender) is Verdict.BLOCKED:
        raise InviteBlocked


def check_reachable(tenant: Tenant, guest: UserID) -> None:
    """Raises Forbidden when the guest is on another server and we speak with none."""
    if server_of(guest) != tenant.name and not tenant.remotes.reachable:
        raise Forbidden("This server does not federate")
