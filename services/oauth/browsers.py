"""Who is signed in in a browser, on our own pages.

However somebody has proved who they are (a password, a new account, another provider), it ends in `remember`: it takes the
user ID and gives the secret that the browser keeps in a cookie.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from hashlib import sha256

from protocol.ids import UserID
from protocol.matrix_error import Forbidden
from services.accounts.tokens import digest_of, new_token
from services.oauth.errors import NotToBeRedirected
from services.requester import Requester
from services.settings import DAY, MINUTE
from services.tenant import Tenant
from storage.accounts import get_account
from storage.oauth.browsers import allow_reset, delete_browser, get_browser, insert_browser, take_reset

PREFIX = "htb_"
LIFETIME = 7 * DAY
FRESH = 10 * MINUTE
"""So long a proof is good for what cannot be undone."""
RESET_LIFETIME = 10 * MINUTE


@dataclass(frozen=True, slots=True)
class Browser:
    """A browser and its user; `proved` is when they last showed who they are."""

    user_id: UserID
    proved: int
    suspended: bool

    @property
    def requester(self) -> Requester:
        """The user, for what is asked of other services from our pages."""
        return Requester(self.user_id, is_suspended=self.suspended)

    def is_fresh(self, now: int) -> bool:
        """Have they shown it just now?"""
        return now < self.proved + FRESH


def new_secret(tenant: Tenant) -> str:
    """For a browser in which nobody is signed in yet."""
    return new_token(tenant.random, PREFIX).secret


async def remember(tenant: Tenant, user_id: UserID) -> str:
    """The secret of a browser whose user has proved to be this one. It is a new one: an old cookie is worth nothing."""
    async with tenant.database.read() as tx:
        account = await get_account(tx, user_id)
        if account is None or account.deactivated or account.locked:
            raise Forbidden("This account cannot be used")
        token, now = new_token(tenant.random, PREFIX), tenant.clock.now()
        credential = _credential(account.password_hash)
        await insert_browser(tx, token.digest, user_id, credential, now, now + LIFETIME)
    return token.secret


async def browser_of(tenant: Tenant, secret: str | None) -> Browser | None:
    """Who is signed in; None for nobody, or when the time is over or the password is another one meanwhile."""
    if secret is None:
        return None
    async with tenant.database.read() as tx:
        stored = await get_browser(tx, digest_of(secret), tenant.clock.now())
    if stored is None or not hmac.compare_digest(stored.credential, _credential(stored.password_hash)):
        return None
    return Browser(UserID(stored.user_id), stored.proved, stored.suspended)


async def forget(tenant: Tenant, secret: str) -> None:
    """Nobody is signed in there any more."""
    async with tenant.database.read() as tx:
        await delete_browser(tx, digest_of(secret))


def form_token(secret: str) -> str:
    """What a form of ours carries, and no other site can know."""
    return hmac.new(secret.encode("utf-8", "surrogateescape"), b"form", sha256).hexdigest()


def check_form(secret: str | None, token: str) -> None:
    """Raises NotToBeRedirected for a form that did not come from a page of ours in this browser."""
    if secret is None or not hmac.compare_digest(form_token(secret).encode(), token.encode()):
        raise NotToBeRedirected(
            "The page was open for too long, or cookies are switched off. Please go back."
        )


async def allow_cross_signing_reset(tenant: Tenant, browser: Browser) -> None:
    """For some minutes one of the user's clients may replace the cross-signing keys, without asking again (MSC4312)."""
    async with tenant.database.read() as tx:
        await allow_reset(tx, browser.user_id, tenant.clock.now() + RESET_LIFETIME)


async def is_reset_allowed(tenant: Tenant, user_id: UserID) -> bool:
    """Has the user allowed it? It is good for once."""
    async with tenant.database.read() as tx:
        return await take_reset(tx, user_id, tenant.clock.now())


def _credential(password_hash: str | None) -> bytes:
    return sha256((password_hash or "").encode()).digest()
