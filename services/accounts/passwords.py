"""Passwords: Argon2id, computed elsewhere, at the cost that the settings ask for now."""

from __future__ import annotations

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from protocol.matrix_error import WeakPassword
from services.settings import Passwords
from services.tenant import Tenant

MAX_LENGTH = 512  # characters


def check_strength(settings: Passwords, password: str) -> None:
    """Raises WeakPassword for what is too short to be kept, so long that it is no password, or lacks what is required."""
    if len(password) < settings.minimum_length:
        raise WeakPassword(f"The password must have at least {settings.minimum_length} characters")
    if len(password) > MAX_LENGTH:
        raise WeakPassword(f"The password must have at most {MAX_LENGTH} characters")
    for is_required, is_it, what in (
        (settings.require_digit, str.isdigit, "a digit"),
        (settings.require_lowercase, str.islower, "a small letter"),
        (settings.require_uppercase, str.isupper, "a capital"),
        (settings.require_symbol, _is_symbol, "something that is no letter and no digit"),
    ):
        if is_required and not any(map(is_it, password)):
            raise WeakPassword(f"The password must have {what} in it")


def _is_symbol(character: str) -> bool:
    return not character.isalnum()


async def hash_password(tenant: Tenant, password: str) -> str:
    """What is kept of the password."""
    return await tenant.compute.run(_hash, tenant.settings.passwords, password)


async def is_password(tenant: Tenant, password_hash: str | None, password: str) -> bool:
    """Is it the one that was hashed? Without a hash the answer is no, and takes the same time."""
    if password_hash is None:
        await tenant.compute.run(_hash, tenant.settings.passwords, password)
        return False
    return await tenant.compute.run(_verify, password_hash, password)


def is_outdated(settings: Passwords, password_hash: str) -> bool:
    """Was the hash made at another cost than the settings ask for now?"""
    return _hasher(settings).check_needs_rehash(password_hash)


def _hasher(settings: Passwords) -> PasswordHasher:
    return PasswordHasher(
        time_cost=settings.time_cost,
        memory_cost=settings.memory_kib,
        parallelism=settings.parallelism,
    )


def _hash(settings: Passwords, password: str) -> str:
    return _hasher(settings).hash(password)


def _verify(password_hash: str, password: str) -> bool:
    try:
        return PasswordHasher().verify(password_hash, password)
    except (VerificationError, InvalidHashError):
        return False
