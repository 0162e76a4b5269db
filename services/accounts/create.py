"""Makes accounts, for whoever has decided that one may be made."""

from __future__ import annotations

from dataclasses import dataclass

from protocol.ids import UserID
from protocol.matrix_error import Forbidden, ThreepidInUse, UserInUse
from services.accounts.names import new_user_id
from services.accounts.passwords import check_strength, hash_password
from services.accounts.uia_email import Shown, check_unused
from services.appservices.registry import Appservice
from services.tenant import Tenant
from storage.accounts import Account, get_account, insert_account, use_registration_token
from storage.database import Tx
from storage.threepid_sessions import delete_session
from storage.threepids import insert_threepid

GENERATED_LENGTH = 12


@dataclass(frozen=True, slots=True)
class Shows:
    """What somebody shows for an account: a registration token, an address that is theirs."""

    registration_token: str | None = None
    email: Shown | None = None


NOTHING = Shows()


async def create_account(
    tenant: Tenant,
    localpart: str | None,
    password: str | None,
    *,
    is_admin: bool = False,
    is_guest: bool = False,
    appservice: Appservice | None = None,
    shows: Shows = NOTHING,
) -> UserID:
    """The new user; without a localpart one is made up, without a password nobody can log in with one.

    Raises InvalidUsername, Exclusive, UserInUse, WeakPassword, Forbidden when the registration token is used up,
    ThreepidInUse when somebody has taken the address meanwhile, or ThreepidAuthFailed.
    """
    user_id = new_user_id(tenant, localpart or made_up_localpart(tenant), appservice)
    if password is not None:
        check_strength(tenant.settings.passwords, password)
    await check_free(tenant, user_id)
    account = Account(
        user_id=user_id,
        password_hash=None if password is None else await hash_password(tenant, password),
        created=tenant.clock.now(),
        is_guest=is_guest,
        is_admin=is_admin,
        appservice=None if appservice is None else appservice.id,
    )
    async with tenant.database.transaction() as tx:
        if not await insert_account(tx, account):
            raise UserInUse
        await pay(tenant, tx, user_id, shows)
    return user_id


async def check_free(tenant: Tenant, user_id: UserID) -> None:
    """Raises UserInUse when somebody has, or had, the user ID."""
    async with tenant.database.read() as tx:
        if await get_account(tx, user_id) is not None:
            raise UserInUse


def made_up_localpart(tenant: Tenant) -> str:
    """A name for those who did not choose one."""
    return tenant.random.token(GENERATED_LENGTH).lower()


async def pay(tenant: Tenant, tx: Tx, user_id: UserID, shows: Shows) -> None:
    """The token is used, and the address the user's. Raises Forbidden, ThreepidInUse or ThreepidAuthFailed."""
    token, email = shows.registration_token, shows.email
    # Those of the configuration are never used up.
    counted = token is not None and token not in tenant.settings.registration.tokens
    if token is not None and counted and not await use_registration_token(tx, token, tenant.clock.now()):
        raise Forbidden("The registration token is not valid any more")
    if email is not None:
        check_unused(await delete_session(tx, email.sid))
        if not await insert_threepid(tx, user_id, email.threepid):
            raise ThreepidInUse
