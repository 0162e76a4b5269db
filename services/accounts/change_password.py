"""Another password for an account (§Legacy API, «Password management»)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from protocol.ids import UserID
from services.accounts.passwords import check_strength, hash_password
from services.accounts.revoke import delete_all_devices
from services.accounts.uia import PASSWORD, Flows, Operation, require_uia
from services.accounts.uia_email import check_unused, shown_of
from services.accounts.uia_stages import Stage
from services.mail.outbox import may_send
from services.requester import Requester
from services.settings import MailKind
from services.tenant import Tenant
from storage.accounts import set_password
from storage.threepid_sessions import delete_session

BY_EMAIL: Flows = (*PASSWORD, (Stage.EMAIL,))
"""For those who have forgotten their password."""


@dataclass(frozen=True, slots=True)
class NewPassword:
    """The password, and whether the user's other devices are to be logged out."""

    password: str
    logout_devices: bool


async def change_password(
    tenant: Tenant, requester: Requester | None, new: NewPassword, operation: Operation
) -> None:
    """The old password is not good any more. Raises WeakPassword or InteractiveAuthNeeded.

    Without a requester it is the password stage that shows whose account it is, or the e-mail address.
    """
    check_strength(tenant.settings.passwords, new.password)
    user_id = await _user(tenant, requester, operation)
    password_hash = await hash_password(tenant, new.password)
    async with tenant.database.read() as tx:
        await set_password(tx, user_id, password_hash)
    if new.logout_devices:
        await delete_all_devices(tenant, user_id, but=None if requester is None else requester.device_id)


async def _user(tenant: Tenant, requester: Requester | None, operation: Operation) -> UserID:
    if requester is not None or not may_send(tenant, MailKind.VERIFICATION):
        return await confirmed_user(tenant, requester, operation)
    shown = await require_uia(tenant, None, operation, BY_EMAIL)
    email = shown_of(shown, tenant.clock.now())
    if email is not None:
        async with tenant.database.read() as tx:
            check_unused(await delete_session(tx, email.sid))
    return UserID(shown["user_id"])


async def confirmed_user(tenant: Tenant, requester: Requester | None, operation: Operation) -> UserID:
    """Whose account it is, after the password was asked for (again). Raises InteractiveAuthNeeded."""
    shown: Mapping[str, str] = await require_uia(tenant, requester, operation, PASSWORD)
    return UserID(shown["user_id"]) if requester is None else requester.user_id
