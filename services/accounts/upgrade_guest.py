"""A guest becomes a full account, with its user ID, rooms and sessions («Guest Access», `guest_access_token`)."""

from __future__ import annotations

from protocol.ids import UserID, localpart_of
from protocol.matrix_error import Forbidden, MatrixError, UserInUse
from services.accounts.authenticate import Claim, Who, authenticate
from services.accounts.create import Shows, pay
from services.accounts.passwords import hash_password
from services.accounts.revoke import change_account
from services.tenant import Tenant
from storage.accounts import make_full_account
from storage.journal import Change


async def guest_of(tenant: Tenant, access_token: str, localpart: str | None) -> UserID:
    """The guest whose token it is; raises Forbidden where it is no guest's, or another name is wanted than the guest has."""
    try:
        requester = await authenticate(tenant, Who.USER, Claim(access_token))
    except MatrixError:
        raise Forbidden("guest_access_token is not the token of a guest") from None
    if not requester.is_guest:
        raise Forbidden("guest_access_token is not the token of a guest")
    if localpart not in (None, localpart_of(requester.user_id)):
        raise Forbidden("A guest keeps its name")
    return requester.user_id


async def upgrade_guest(tenant: Tenant, guest: UserID, password: str | None, shows: Shows) -> UserID:
    """The user, who is a guest no more; its tokens stay good. Raises UserInUse when it was none any more, and as `pay`."""
    password_hash = None if password is None else await hash_password(tenant, password)
    async with tenant.database.transaction() as tx:
        await pay(tenant, tx, guest, shows)
        if not await make_full_account(tx, guest, password_hash):
            raise UserInUse
    await change_account(tenant, guest, Change(()))
    return guest
