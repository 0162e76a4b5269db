"""From an access token to a Requester (§Client Authentication)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from protocol.ids import DeviceID, UserID
from protocol.matrix_error import Forbidden, UnknownDevice, UnknownToken, UserLocked
from services.accounts.logins import Entry
from services.accounts.seen import note_seen
from services.accounts.tokens import digest_of
from services.appservices.registry import Appservice
from services.requester import Requester
from services.tenant import Tenant
from storage.accounts import Account, get_account, insert_account
from storage.database import Tx
from storage.devices import Seen, get_device
from storage.sessions import Login, get_login, supersede


class Who(Enum):
    """Whom an endpoint is for."""

    USER = "user"
    LOCKED_USER = "locked user"  # logging out works for locked accounts too
    APPSERVICE = "appservice"


@dataclass(frozen=True, slots=True)
class Claim:
    """What a request shows: the token, whom an application service wants to act for, and where it comes from."""

    token: str
    user_id: str | None = None
    device_id: str | None = None
    address: str = ""
    user_agent: str = ""


async def authenticate(tenant: Tenant, who: Who, claim: Claim) -> Requester:
    """Who asks. Raises UnknownToken, UserLocked, and for application services Forbidden or UnknownDevice."""
    digest = digest_of(claim.token)
    appservice = tenant.appservices.by_token(digest)
    if who is Who.APPSERVICE:
        return _itself(appservice)
    key = digest if appservice is None else _masked_key(digest, claim)
    now = tenant.clock.now()
    entry = tenant.logins.get(key, now)
    if entry is None:
        entry = await _look_up(tenant, key, appservice, claim)
    if entry.expires is not None and entry.expires <= now:
        raise UnknownToken("The access token has expired", soft_logout=True)
    if entry.locked and who is not Who.LOCKED_USER:
        raise UserLocked
    note_seen(tenant, entry.requester, Seen(now, claim.address, claim.user_agent))
    return entry.requester


async def check_still_good(tenant: Tenant, token_id: bytes) -> None:
    """For calls that last: raises UnknownToken or UserLocked when their token is good no longer."""
    now, changes = tenant.clock.now(), tenant.logins.changes
    entry = tenant.logins.get(token_id, now)
    if entry is None:
        entry = await _login(tenant, token_id)
        tenant.logins.keep(token_id, entry, changes)
    if entry.expires is not None and entry.expires <= now:
        raise UnknownToken("The access token has expired", soft_logout=True)
    if entry.locked:
        raise UserLocked


def _itself(appservice: Appservice | None) -> Requester:
    if appservice is None:
        raise Forbidden("This is for application services only")
    return Requester(appservice.sender, appservice=appservice.id)


def _masked_key(digest: bytes, claim: Claim) -> bytes:
    return digest + f"{claim.user_id or ''}\0{claim.device_id or ''}".encode()


async def _look_up(tenant: Tenant, key: bytes, appservice: Appservice | None, claim: Claim) -> Entry:
    logins = tenant.logins
    logins.listen(tenant.feed)
    changes = logins.changes
    if appservice is None:
        entry = await _login(tenant, key)
    else:
        entry = await _mask(tenant, appservice, claim)
    logins.keep(key, entry, changes)
    return entry


async def _login(tenant: Tenant, token_id: bytes) -> Entry:
    now = tenant.clock.now()
    async with tenant.database.read() as tx:
        login = await get_login(tx, token_id)
        if login is None:
            raise UnknownToken
        if login.supersedes and login.refresh_id and login.device_id and _is_alive(login, now):
            await supersede(tx, login.user_id, login.device_id, login.refresh_id)
    requester = Requester(
        user_id=UserID(login.user_id),
        device_id=None if login.device_id is None else DeviceID(login.device_id),
        token_id=token_id,
        is_guest=login.is_guest,
        is_admin=login.is_admin,
        is_suspended=login.suspended,
        through_oauth=login.through_oauth,
    )
    return Entry(requester, login.expires, login.locked, now)


def _is_alive(login: Login, now: int) -> bool:
    return login.expires is None or login.expires > now


async def _mask(tenant: Tenant, appservice: Appservice, claim: Claim) -> Entry:
    """The application service as one of its users (§Application Service API, «Identity assertion»)."""
    user_id = claim.user_id or appservice.sender
    if not appservice.may_act_for(user_id):
        raise Forbidden("The application service may not act for this user")
    async with tenant.database.read() as tx:
        account = await get_account(tx, user_id)
        if account is None and user_id == appservice.sender:
            account = await _made_for(tenant, tx, appservice)
        if account is None or account.deactivated:
            raise Forbidden("The application service has not registered this user")
        # «If the device does not exist ... M_UNKNOWN_DEVICE» (v1.17).
        if claim.device_id is not None and await get_device(tx, user_id, claim.device_id) is None:
            raise UnknownDevice
    requester = Requester(
        user_id=UserID(user_id),
        device_id=None if claim.device_id is None else DeviceID(claim.device_id),
        is_admin=account.is_admin,
        appservice=appservice.id,
        is_suspended=account.suspended,
    )
    return Entry(requester, None, account.locked, tenant.clock.now())


async def _made_for(tenant: Tenant, tx: Tx, appservice: Appservice) -> Account | None:
    """COMPAT: the account of the application service's own user, which many never register."""
    account = Account(appservice.sender, None, tenant.clock.now(), appservice=appservice.id)
    await insert_account(tx, account)  # somebody else may have been faster
    return await get_account(tx, appservice.sender)
