"""Addresses that are published at identity servers as a user's (§Adding Account Administrative Contact Information)."""

from __future__ import annotations

from protocol.ids import ServerName, UserID
from protocol.matrix_error import MatrixError
from services.outside import OutsideFailed
from services.requester import Requester
from services.tenant import Tenant
from services.threepids.addresses import canonical
from services.threepids.identity import IdentityServer, identity_server, publish, withdraw
from storage.threepids import Binding, bindings_of, delete_binding, insert_binding, threepids_of


async def bind(
    tenant: Tenant, requester: Requester, server: IdentityServer, sid: str, client_secret: str
) -> None:
    """The address of the identity server's session is published; raises its error, or OutsideFailed."""
    published = await publish(tenant, server, requester.user_id, sid, client_secret)
    values = (requester.user_id, published.medium, published.address)
    async with tenant.database.read() as tx:
        await insert_binding(tx, *values, server.name)


async def unbind(
    tenant: Tenant,
    user_id: UserID,
    medium: str,
    address: str,
    id_server: str | None,
    *,
    may_fail: bool = False,
) -> bool:
    """Is the address published no more, at that server or where it was published through us?

    Raises InvalidParam, ServerNotTrusted, and unless it may fail the server's error, or OutsideFailed.
    """
    address = canonical(medium, address)
    if id_server is not None:
        bindings = [Binding(medium, address, identity_server(tenant, id_server).name)]
    else:
        async with tenant.database.read() as tx:
            known = await bindings_of(tx, user_id)
        bindings = [one for one in known if (one.medium, one.address) == (medium, address)]
    return await _withdrawn(tenant, user_id, bindings, may_fail=may_fail)


async def to_unbind(tenant: Tenant, user_id: UserID, id_server: str | None) -> list[Binding]:
    """What is to be withdrawn when the account ends. Raises InvalidParam or ServerNotTrusted."""
    server = None if id_server is None else identity_server(tenant, id_server).name
    async with tenant.database.read() as tx:
        known = await bindings_of(tx, user_id)
        own = [] if server is None else await threepids_of(tx, user_id)
    if server is None:
        return known
    addresses = {(one.medium, one.address) for one in known} | {(one.medium, one.address) for one in own}
    return [Binding(medium, address, server) for medium, address in sorted(addresses)]


async def unbind_all(tenant: Tenant, user_id: UserID, bindings: list[Binding]) -> bool:
    """Is all of it published no more?"""
    return not bindings or await _withdrawn(tenant, user_id, bindings, may_fail=True)


async def _withdrawn(tenant: Tenant, user_id: UserID, bindings: list[Binding], *, may_fail: bool) -> bool:
    done = bool(bindings)
    for binding in bindings:
        try:
            is_done = await withdraw(
                tenant, ServerName(binding.id_server), user_id, binding.medium, binding.address
            )
        except (MatrixError, OutsideFailed):
            if not may_fail:
                raise
            is_done = False
        if is_done:
            async with tenant.database.read() as tx:
                await delete_binding(tx, user_id, binding)
        done = done and is_done
    return done
