"""A browser's way to a provider and back, whatever language the provider speaks."""

from __future__ import annotations

from collections.abc import Mapping

from protocol.ids import UserID
from protocol.matrix_error import Forbidden, NotFound
from services.accounts.revoke import delete_all_devices
from services.accounts.uia import find_session, pass_stage, user_of
from services.accounts.uia_stages import Stage
from services.tenant import Tenant
from services.upstream import cas, oidc
from services.upstream.arrive import arrive, known_user
from services.upstream.attempts import Attempt, begin, come_back
from services.upstream.id_token import check_logout_token
from services.upstream.person import Person
from services.upstream.proof import check_same
from services.upstream.settings import OidcProvider, Provider
from storage.oauth.browsers import delete_browsers_of


def provider_named(tenant: Tenant, name: str) -> Provider:
    """One of the configured ones; raises NotFound."""
    provider = tenant.settings.upstream.provider(name)
    if provider is None:
        raise NotFound("There is no such identity provider")
    return provider


async def depart(
    tenant: Tenant,
    provider: Provider,
    browser: str,
    onward: str,
    *,
    uia: str | None = None,
    again: bool = False,
) -> str:
    """Where to send the browser, whose cookie has this secret; raises OutsideFailed."""
    state, attempt = await begin(tenant, provider.face.id, browser, onward, uia=uia, again=again)
    if isinstance(provider, OidcProvider):
        return await oidc.authorization_url(tenant, provider, state, attempt)
    return cas.login_url(tenant, provider, state, attempt)


async def return_with(
    tenant: Tenant, provider: Provider, browser: str, answer: Mapping[str, str]
) -> tuple[Attempt, Person]:
    """What was begun, and who has come back; raises Forbidden or OutsideFailed."""
    state = answer.get("state", "")
    attempt = await come_back(tenant, provider.face.id, browser, state)
    if isinstance(provider, OidcProvider):
        return attempt, await oidc.person_of(tenant, provider, attempt, answer)
    return attempt, await cas.person_of(tenant, provider, state, attempt, answer)


async def arrived(
    tenant: Tenant, provider: Provider, attempt: Attempt, person: Person, browser: str
) -> UserID | str:
    """Who logs in; or the secret of a question for a name. Raises Forbidden."""
    return await arrive(tenant, provider.face.id, provider.mapping, person, attempt.onward, browser)


async def prove(tenant: Tenant, provider: Provider, session_name: str, person: Person) -> None:
    """The interactive authentication goes on, if it is its user who was proved; raises Forbidden."""
    session = await find_session(tenant, session_name)
    if session is None:
        raise Forbidden("The authentication session is unknown or has expired")
    check_same(await known_user(tenant, provider.face.id, person.subject), user_of(session))
    await pass_stage(tenant, session, Stage.SSO, {})


async def log_out_everywhere(tenant: Tenant, provider: Provider, token: str) -> None:
    """The provider says that somebody's sessions are over (Back-Channel Logout): devices and browsers. Raises Forbidden."""
    if not isinstance(provider, OidcProvider) or not provider.backchannel_logout:
        raise NotFound("This provider logs nobody out here")
    user_id = await known_user(tenant, provider.face.id, await check_logout_token(tenant, provider, token))
    if user_id is None:
        return
    await delete_all_devices(tenant, user_id)
    async with tenant.database.read() as tx:
        await delete_browsers_of(tx, user_id)
