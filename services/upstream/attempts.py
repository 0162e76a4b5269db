"""Browsers that were sent to a provider: what they come back with is worth something once, soon, and in the same browser."""

from __future__ import annotations

import hmac
from dataclasses import asdict, dataclass
from typing import Any

import orjson

from protocol.matrix_error import Forbidden
from services.accounts.tokens import digest_of
from services.settings import MINUTE
from services.tenant import Tenant
from storage.upstream import StoredAttempt, insert_attempt, take_attempt

LIFETIME = 10 * MINUTE
SECRET_LENGTH = 43
"""Letters and digits: 256 bits, and what a PKCE verifier has at least."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """A login that was begun: where it goes on (a page of ours), or which interactive authentication it is for."""

    onward: str
    uia: str | None
    again: bool  # the provider is to ask, whatever it knows
    begun: int
    nonce: str
    verifier: str


@dataclass(frozen=True, slots=True)
class Naming:
    """Somebody whom a provider has proved, and who has no name here yet."""

    subject: str
    display_name: str | None
    email: str | None
    wished: str
    onward: str
    picture: str | None = None


async def begin(
    tenant: Tenant, provider: str, browser: str, onward: str, *, uia: str | None = None, again: bool = False
) -> tuple[str, Attempt]:
    """The state to send along, and what is kept of it; `browser` is the secret of its cookie."""
    attempt = Attempt(onward, uia, again, tenant.clock.now(), _secret(tenant), _secret(tenant))
    return await _keep(tenant, provider, browser, {"away": asdict(attempt)}), attempt


async def come_back(tenant: Tenant, provider: str, browser: str, state: str) -> Attempt:
    """What was begun with this provider in this browser; once. Raises Forbidden."""
    return Attempt(**await _take(tenant, provider, browser, state, "away"))


async def begin_naming(tenant: Tenant, provider: str, browser: str, naming: Naming) -> str:
    """The secret with which the person's choice of a name is taken."""
    return await _keep(tenant, provider, browser, {"naming": asdict(naming)})


async def take_naming(tenant: Tenant, provider: str, browser: str, secret: str) -> Naming:
    """Who chooses a name; once. Raises Forbidden."""
    return Naming(**await _take(tenant, provider, browser, secret, "naming"))


async def _keep(tenant: Tenant, provider: str, browser: str, content: dict[str, Any]) -> str:
    secret = _secret(tenant)
    stored = StoredAttempt(digest_of(browser), provider, orjson.dumps(content))
    async with tenant.database.read() as tx:
        await insert_attempt(tx, digest_of(secret), stored, tenant.clock.now() + LIFETIME)
    return secret


async def _take(tenant: Tenant, provider: str, browser: str, secret: str, kind: str) -> dict[str, Any]:
    async with tenant.database.read() as tx:
        stored = await take_attempt(tx, digest_of(secret), tenant.clock.now())
    if stored is None or not hmac.compare_digest(stored.browser, digest_of(browser)):
        raise Forbidden(
            "This login was not begun in this browser, has been finished already, or took too long"
        )
    content = orjson.loads(stored.content)
    if stored.provider != provider or kind not in content:
        raise Forbidden("This login was begun elsewhere")
    found: dict[str, Any] = content[kind]
    return found


def _secret(tenant: Tenant) -> str:
    return tenant.random.token(SECRET_LENGTH)
