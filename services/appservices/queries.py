"""Asking application services for users and room aliases that are not here yet (§Querying): they may make them meanwhile."""

from __future__ import annotations

from urllib.parse import quote

from protocol.ids import RoomAlias, UserID, server_of
from services.appservices.calls import Question, Unreachable
from services.appservices.observations import AppserviceAsked
from services.appservices.registry import Appservice
from services.tenant import Tenant
from storage.accounts import get_account

SECONDS = 30.0
REMEMBERED = 10_000  # ms: a no is not asked for again so long


async def make_user(tenant: Tenant, user_id: UserID) -> bool:
    """Has an application service made this user of ours, who was not there, since it was asked?

    One that nobody can reach has not: what wanted to know goes on as if there were no such user.
    """
    if server_of(user_id) != tenant.name:
        return False
    cares = [one for one in tenant.appservices.known if one.url is not None and one.cares_for_user(user_id)]
    return await _any(tenant, cares, "users", user_id)


async def user_is_there(tenant: Tenant, user_id: UserID) -> None:
    """Where application services care for the user of ours, and there is none of this name, they are asked to make it."""
    if not any(one.cares_for_user(user_id) for one in tenant.appservices.known):
        return
    async with tenant.database.read() as tx:
        known = await get_account(tx, user_id)
    if known is None:
        await make_user(tenant, user_id)


async def make_alias(tenant: Tenant, alias: RoomAlias) -> bool:
    """The same for an alias of this server's."""
    cares = [one for one in tenant.appservices.known if one.url is not None and one.cares_for_alias(alias)]
    return await _any(tenant, cares, "rooms", alias)


async def _any(tenant: Tenant, appservices: list[Appservice], kind: str, name: str) -> bool:
    for appservice in appservices:
        known = await tenant.asked_appservices.ask(
            (appservice.id, name),
            lambda one=appservice: _ask(tenant, one, kind, name),  # type: ignore[misc]
            tenant.clock.now(),
            lambda known: 0 if known else REMEMBERED,
        )
        if known:
            return True
    return False


async def _ask(tenant: Tenant, appservice: Appservice, kind: str, name: str) -> bool:
    path = f"/{kind}/{quote(name, safe='')}"
    try:
        answer = await tenant.appservice_calls.ask(
            appservice, Question("GET", path, legacy=path, seconds=SECONDS)
        )
    except Unreachable as error:
        tenant.observe(AppserviceAsked(appservice.id, name, str(error)))
        return False
    return answer.is_ok
