"""Logging in (§Legacy API, «Login»): who somebody shows to be, before a session begins."""

from __future__ import annotations

from protocol.ids import UserID
from protocol.matrix_error import Exclusive, Forbidden, UnknownToken, UserDeactivated, UserLocked
from services.accounts.names import meant_user_ids
from services.accounts.passwords import hash_password, is_outdated, is_password
from services.accounts.tokens import LOGIN, digest_of, new_token
from services.appservices.registry import Appservice
from services.tenant import Tenant
from services.upstream.ldap import by_directory
from storage.accounts import Account, get_account, set_password
from storage.sessions import insert_login_token, take_login_token


async def by_password(tenant: Tenant, name: str, password: str) -> UserID:
    """The user of the name, if it is their password; raises Forbidden, UserDeactivated or UserLocked.

    Nobody learns whether there is such a user: the answer to a wrong password is the same, after the same time.
    """
    account = await _account(tenant, *meant_user_ids(tenant, name))
    password_hash = account.password_hash if account else None
    right = await is_password(tenant, password_hash, password)
    if account is not None and account.deactivated:
        raise UserDeactivated
    if account is None or password_hash is None or not right:
        return await _by_directory(tenant, name, password)
    if is_outdated(tenant.settings.passwords, password_hash):
        await _renew_hash(tenant, account.user_id, password_hash, password)
    return _admitted(account)


async def _by_directory(tenant: Tenant, name: str, password: str) -> UserID:
    """The same for those whose password is kept elsewhere, where it is."""
    user_id = await by_directory(tenant, name, password)
    account = None if user_id is None else await _account(tenant, user_id)
    if account is None:
        raise Forbidden("Wrong user name or password")
    return _admitted(account)


async def by_token(tenant: Tenant, secret: str) -> UserID:
    """The user that the login token was made for; raises Forbidden, UserDeactivated or UserLocked."""
    async with tenant.database.transaction() as tx:
        user_id = await take_login_token(tx, digest_of(secret), tenant.clock.now())
    account = None if user_id is None else await _account(tenant, user_id)
    if account is None:
        raise Forbidden("The login token is unknown, used or expired")
    return _admitted(account)


async def by_appservice(tenant: Tenant, appservice: Appservice, name: str) -> UserID:
    """A user of the application service; raises Forbidden, UserDeactivated or UserLocked."""
    account = await _account(tenant, *meant_user_ids(tenant, name))
    if account is None:
        raise Forbidden("There is no such user")
    if not appservice.may_act_for(account.user_id):
        raise Exclusive("This is not a user of the application service", status=403)
    return _admitted(account)


def appservice_of(tenant: Tenant, token: str) -> Appservice:
    """The application service of the token; raises UnknownToken."""
    appservice = tenant.appservices.by_token(digest_of(token))
    if appservice is None:
        raise UnknownToken
    return appservice


async def make_login_token(tenant: Tenant, user_id: UserID) -> str:
    """A secret with which another client of the user can log in, once and soon."""
    token = new_token(tenant.random, LOGIN)
    expires = tenant.clock.now() + tenant.settings.accounts.login_token_lifetime
    async with tenant.database.read() as tx:
        await insert_login_token(tx, token.digest, user_id, expires)
    return token.secret


async def _account(tenant: Tenant, *user_ids: str) -> Account | None:
    async with tenant.database.read() as tx:
        return await get_account(tx, *user_ids)


async def _renew_hash(tenant: Tenant, user_id: str, old: str, password: str) -> None:
    renewed = await hash_password(tenant, password)
    async with tenant.database.read() as tx:
        await set_password(tx, user_id, renewed, instead_of=old)


def _admitted(account: Account) -> UserID:
    if account.deactivated:
        raise UserDeactivated
    if account.locked:
        raise UserLocked
    return UserID(account.user_id)
