"""Tokens that let somebody register: those of the configuration, and those that an administrator has made."""

from __future__ import annotations

from services.settings import RegistrationMode
from services.tenant import Tenant
from storage.accounts import is_registration_token_valid


async def is_valid(tenant: Tenant, token: str) -> bool:
    """Could somebody register with the token now?"""
    registration = tenant.settings.registration
    if registration.mode is not RegistrationMode.TOKEN:
        return False
    if token in registration.tokens:
        return True
    async with tenant.database.read() as tx:
        return await is_registration_token_valid(tx, token, tenant.clock.now())
