"""Accounts made by tools that know the registration's shared secret.

The nonce is one that this server can recognise without having kept it, so that any process can: chance, the time, and
a MAC of both. That it could be used twice within its time does no harm, since a name can be registered only once.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from hashlib import sha1, sha256

from protocol.ids import UserID
from protocol.matrix_error import Forbidden, Unknown, Unrecognized
from services.accounts.create import create_account
from services.settings import MINUTE
from services.tenant import Tenant

NONCE_LIFETIME = MINUTE
_CHANCE = 16  # letters


@dataclass(frozen=True, slots=True)
class Provision:
    """The account that a tool wants, and its proof that it knows the shared secret."""

    nonce: str
    username: str
    password: str
    is_admin: bool
    user_type: str | None
    mac: str


def new_nonce(tenant: Tenant) -> str:
    """To be used within a minute; raises Unrecognized where there is no shared secret."""
    stem = f"{tenant.random.token(_CHANCE)}.{tenant.clock.now()}"
    return f"{stem}.{_seal(_secret(tenant), stem)}"


async def provision(tenant: Tenant, wanted: Provision) -> UserID:
    """The new user; raises what create_account raises, Unknown for a foreign or old nonce, Forbidden for a wrong MAC."""
    secret = _secret(tenant)
    if not _is_fresh(tenant, secret, wanted.nonce):
        raise Unknown("Unrecognised nonce")
    if not hmac.compare_digest(_mac(secret, wanted).encode(), wanted.mac.encode()):
        raise Forbidden("HMAC incorrect")
    localpart = wanted.username.lower()
    return await create_account(tenant, localpart, wanted.password, is_admin=wanted.is_admin)


def _secret(tenant: Tenant) -> bytes:
    secret = tenant.settings.registration.shared_secret
    if secret is None:
        raise Unrecognized("Shared secret registration is not enabled")
    return secret.encode()


def _is_fresh(tenant: Tenant, secret: bytes, nonce: str) -> bool:
    stem, _, seal = nonce.rpartition(".")
    _, _, made = stem.rpartition(".")
    if not hmac.compare_digest(_seal(secret, stem).encode(), seal.encode()):
        return False
    return 0 <= tenant.clock.now() - int(made) <= NONCE_LIFETIME


def _seal(secret: bytes, stem: str) -> str:
    return hmac.new(secret, b"nonce\0" + stem.encode(), sha256).hexdigest()


def _mac(secret: bytes, wanted: Provision) -> str:
    parts = [wanted.nonce, wanted.username, wanted.password, "admin" if wanted.is_admin else "notadmin"]
    if wanted.user_type is not None:
        parts.append(wanted.user_type)
    return hmac.new(secret, "\0".join(parts).encode("utf-8", "surrogatepass"), sha1).hexdigest()
