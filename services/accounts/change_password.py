"""Another password for an account (§Legacy API, «Password management»)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from protocol.ids import UserID
from services.accounts.passwords import check_strength, hash_password
from services.accounts.revoke import delete_all_devices
from services.accounts.uia import PASSWORD, Operation, require_uia
from services.requester import Requester
from services.tenant import Tenant
from storage.accounts import set_password


@dataclass(frozen=True, slots=True)
class NewPassword:
    """The password, and whether the user's other devices are to be logged out."""

    password: str
    logout_devices: bool


async def change_password(
    tenant: Tenant, requester: Requester | None, new: NewPassword, operation: Operation
) -> None:
    """The old password is not good any more. Raises WeakPassword or InteractiveAuthNeeded.

    Without a requester it is the password stage that shows whose account it is.
    """
    check_strength(tenant.settings.passwords, new.password)
    user_id = await confirmed_user(tenant, requester, operation)
    password_hash = await hash_password(tenant, new.password)
    async with tenant.database.read() as tx:
        await set_password(tx, user_id, password_hash)
    if new.logout_devices:
        await delete_all_devices(tenant, user_id, but=None if requester is None else requester.device_id)


async def confirmed_user(tenant: Tenant, requester: Requester | None, operation: Operation) -> UserID:
    """Whose account it is, after the password was asked for (again). Raises InteractiveAuthNeeded."""
    shown: Mapping[str, str] = await require_uia(tenant, requester, operation, PASSWORD)
    return UserID(shown["user_id"]) if requester is None else requester.user_id
