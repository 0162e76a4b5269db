"""Interactive authentication through a provider: the stage m.login.sso, for users who have no password here."""

from __future__ import annotations

from protocol.ids import UserID
from protocol.matrix_error import Forbidden
from services.accounts.uia_stages import Stage
from services.tenant import Tenant
from services.upstream.settings import LDAP, Provider
from storage.accounts import get_account
from storage.upstream import links_of

Flows = tuple[tuple[Stage, ...], ...]


async def with_providers(tenant: Tenant, user_id: UserID | None, flows: Flows) -> Flows:
    """The flows, where a provider is as good as the password for a user whom one has proved before."""
    if user_id is None or (Stage.PASSWORD,) not in flows or not await providers_of(tenant, user_id):
        return flows
    async with tenant.database.read() as tx:
        account = await get_account(tx, user_id)
        links = await links_of(tx, [user_id])
    has_password = account is not None and account.password_hash is not None
    in_directory = tenant.settings.upstream.ldap is not None and any(name == LDAP for name, _ in links)
    kept = (
        flows if has_password or in_directory else tuple(flow for flow in flows if Stage.PASSWORD not in flow)
    )
    return (*kept, (Stage.SSO,))


async def providers_of(tenant: Tenant, user_id: UserID) -> list[Provider]:
    """Those that have proved the user before and are still configured."""
    if not tenant.settings.upstream.providers:
        return []
    async with tenant.database.read() as tx:
        links = await links_of(tx, [user_id])
    found = (tenant.settings.upstream.provider(name) for name, _ in links)
    return list(dict.fromkeys(provider for provider in found if provider is not None))


def check_same(proved: UserID | None, user_id: UserID | None) -> None:
    """Raises Forbidden when the provider has proved somebody else."""
    if user_id is None or proved != user_id:
        raise Forbidden("This is somebody else: sign in as the user of the application")
