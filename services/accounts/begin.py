"""Begins a session: a device and its tokens."""

from __future__ import annotations

from dataclasses import dataclass

from protocol.ids import DeviceID, UserID
from protocol.matrix_error import Forbidden, InvalidParam
from services.accounts.revoke import revoke_tokens
from services.accounts.tokens import ACCESS, REFRESH, Token, new_token
from services.tenant import Tenant
from storage.database import Tx
from storage.devices import Seen, get_device, insert_device, is_cross_signing_key
from storage.sessions import NewTokens, insert_tokens

DEVICE_ID_LENGTH = 10
MAX_DEVICE_ID = 512  # characters
MAX_DISPLAY_NAME = 100


@dataclass(frozen=True, slots=True)
class Wish:
    """What a client asks for when it logs in."""

    device_id: str | None = None
    display_name: str | None = None
    refreshable: bool = False
    address: str = ""
    user_agent: str = ""


@dataclass(frozen=True, slots=True)
class Session:
    """What a client gets when it has logged in."""

    user_id: UserID
    device_id: DeviceID
    access_token: str
    refresh_token: str | None
    expires_in: int | None


async def begin_session(tenant: Tenant, user_id: UserID, wish: Wish) -> Session:
    """Tokens for a new device, or new ones for a known device, whose old ones die. Raises InvalidParam, Forbidden."""
    check_device_id(wish.device_id)
    if wish.device_id is not None:
        await take_over(tenant, user_id, wish.device_id)
    device_id = DeviceID(wish.device_id or tenant.random.token(DEVICE_ID_LENGTH).upper())
    display_name = wish.display_name and wish.display_name[:MAX_DISPLAY_NAME]
    async with tenant.database.transaction() as tx:
        seen = Seen(tenant.clock.now(), wish.address, wish.user_agent)
        await insert_device(tx, user_id, device_id, display_name, seen)
        return (await issue_tokens(tenant, tx, user_id, device_id, refreshable=wish.refreshable)).session


def check_device_id(device_id: str | None) -> None:
    """Raises InvalidParam for what cannot be the ID of a device."""
    if device_id is not None and not 0 < len(device_id) <= MAX_DEVICE_ID:
        raise InvalidParam(f"A device ID has 1 to {MAX_DEVICE_ID} characters")


async def take_over(tenant: Tenant, user_id: UserID, device_id: str) -> None:
    """The device's old tokens are dead, if it is there; raises Forbidden for the ID of a cross-signing key."""
    async with tenant.database.read() as tx:
        # «The given device ID must not be the same as a cross-signing key ID.»
        if await is_cross_signing_key(tx, user_id, device_id):
            raise Forbidden("The device ID is that of a cross-signing key")
        known = await get_device(tx, user_id, device_id) is not None
    if known:
        await revoke_tokens(tenant, user_id, [device_id])


@dataclass(frozen=True, slots=True)
class Issued:
    """A session, and the digest of its refresh token."""

    session: Session
    refresh_id: bytes | None


async def issue_tokens(
    tenant: Tenant, tx: Tx, user_id: UserID, device_id: DeviceID, *, refreshable: bool, family: str = ""
) -> Issued:
    """New tokens for the device, beside those that it has; the refresh token begins with its family."""
    lifetimes = tenant.settings.accounts
    now = tenant.clock.now()
    access = new_token(tenant.random, ACCESS)
    refresh = new_token(tenant.random, REFRESH + family) if refreshable else None
    expires_in = lifetimes.refreshable_token_lifetime if refreshable else lifetimes.token_lifetime
    await insert_tokens(
        tx,
        NewTokens(
            user_id=user_id,
            device_id=device_id,
            created=now,
            access_id=access.digest,
            access_expires=_after(now, expires_in),
            refresh_id=None if refresh is None else refresh.digest,
            refresh_expires=_after(now, lifetimes.refresh_token_lifetime),
        ),
    )
    return _issued(user_id, device_id, access, refresh, expires_in)


def _issued(
    user_id: UserID, device_id: DeviceID, access: Token, refresh: Token | None, expires_in: int | None
) -> Issued:
    secret, digest = (None, None) if refresh is None else (refresh.secret, refresh.digest)
    return Issued(Session(user_id, device_id, access.secret, secret, expires_in), digest)


def _after(now: int, lifetime: int | None) -> int | None:
    return None if lifetime is None else now + lifetime
