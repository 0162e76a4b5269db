"""A new password for somebody who has forgotten theirs, and reads the mail of an address of the account."""

from __future__ import annotations

from dataclasses import dataclass

from protocol.ids import UserID
from protocol.matrix_error import ThreepidNotFound
from services.accounts.passwords import check_strength, hash_password
from services.accounts.revoke import delete_all_devices
from services.accounts.uia_email import check_unused
from services.tenant import Tenant
from services.threepids.lookup import user_with
from services.threepids.sessions import Purpose, validated
from storage.accounts import set_password
from storage.threepid_sessions import delete_session


@dataclass(frozen=True, slots=True)
class ShownBy:
    """The session of the link that was mailed, and the secret of who asked for it."""

    sid: str
    client_secret: str


async def recover(tenant: Tenant, shown: ShownBy, password: str, *, logout_devices: bool) -> UserID:
    """Whose password it is from now on; browsers are signed out. Raises WeakPassword, ThreepidAuthFailed or
    ThreepidNotFound.
    """
    check_strength(tenant.settings.passwords, password)
    session = await validated(tenant, Purpose.PASSWORD, shown.sid, shown.client_secret)
    user_id = await user_with(tenant, session.medium, session.address)
    if user_id is None:
        raise ThreepidNotFound
    password_hash = await hash_password(tenant, password)
    async with tenant.database.transaction() as tx:
        check_unused(await delete_session(tx, session.sid))
        await set_password(tx, user_id, password_hash)
    if logout_devices:
        await delete_all_devices(tenant, user_id)
    return user_id
