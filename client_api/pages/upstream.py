"""Signing in with an identity provider: the way there, and the way back."""

from dataclasses import replace
from typing import Any

from client_api import AnonymousCall
from client_api.pages.render import page, see_other
from client_api.pages.visit import MAX_FORM, Visit, checked_onward, shown, sign_in, visit
from protocol.ids import UserID
from protocol.matrix_error import Forbidden, MatrixError, Translated
from services.oauth.errors import NotToBeRedirected
from services.oauth.urls import ROOT
from services.oauth.urls import page as page_url
from services.upstream.arrive import choose_name
from services.upstream.journey import arrived, depart, log_out_everywhere, prove, provider_named, return_with
from services.upstream.settings import Provider
from web.endpoint import GENERAL, LOGIN, Auth, endpoint
from web.query import parse_query
from web.reply import Reply

_UP = "../../"  # from the one page that lies deeper than the others
MAX_NAME = 255


@endpoint("GET", f"{ROOT}/upstream", auth=Auth.NONE, limit=LOGIN)
@shown
async def show_upstream(call: AnonymousCall) -> Reply:
    """Off to the provider; who comes back goes on at `next`."""
    seen = await visit(call)
    provider = provider_named(call.tenant, call.query_text("provider"))
    onward, again = checked_onward(call.query_text("next", None)), call.query_text("again", None) is not None
    return await to_provider(seen, provider, onward, again=again)


async def to_provider(
    seen: Visit, provider: Provider, onward: str, *, uia: str | None = None, again: bool = False
) -> Reply:
    """Sends the browser there, with a cookie by which it is known again."""
    try:
        url = await depart(seen.tenant, provider, seen.secret, onward, uia=uia, again=again)
    except Translated as error:
        raise error.told from None
    return seen.with_cookie(see_other(url), seen.secret) if seen.is_new else see_other(url)


@endpoint("GET", f"{ROOT}/upstream/{{provider}}/callback", auth=Auth.NONE, limit=LOGIN)
async def show_upstream_callback(call: AnonymousCall) -> Reply:
    """Back from the provider: signed in, or asked for a name; or one step further in an interactive authentication."""
    try:
        return await _back(call)
    except MatrixError as error:
        return _wrong(call, error)
    except Translated as error:
        return _wrong(call, error.told)
    except NotToBeRedirected as error:
        return _wrong(call, Forbidden(str(error)))


async def _back(call: AnonymousCall) -> Reply:
    seen = await visit(call)
    provider = provider_named(call.tenant, call.path["provider"])
    answer = {name: values[0] for name, values in call.query.items()}
    attempt, person = await return_with(call.tenant, provider, seen.secret, answer)
    if attempt.uia is not None:
        await prove(call.tenant, provider, attempt.uia, person)
        # The page that is shown then tells the client.
        return see_other(
            f"{call.tenant.settings.public_base_url}/_matrix/client/v3/auth/m.login.sso/fallback/web?session={attempt.uia}"
        )
    who = await arrived(call.tenant, provider, attempt, person, seen.secret)
    return _absolute(seen, await _in_or_named(seen, provider.face.id, who, attempt.onward))


async def _in_or_named(seen: Visit, provider: str, who: UserID | str, onward: str) -> Reply:
    if isinstance(who, str) and not who.startswith("@"):
        return see_other(f"upstream_name?provider={provider}&question={who}")
    return await sign_in(seen, UserID(who), onward)


@endpoint("GET", f"{ROOT}/upstream_name", auth=Auth.NONE, limit=GENERAL)
@shown
async def show_upstream_name(call: AnonymousCall) -> Reply:
    """Asks somebody whom a provider has proved for a name."""
    seen = await visit(call)
    return _name_page(seen, call.query_text("provider"), call.query_text("question"), "", None)


@endpoint("POST", f"{ROOT}/upstream_name", auth=Auth.NONE, limit=LOGIN, max_body=MAX_FORM)
@shown
async def submit_upstream_name(call: AnonymousCall) -> Reply:
    """The new user goes on; or is asked again, where the name cannot be had."""
    seen = await visit(call)
    form = seen.form()
    provider = provider_named(call.tenant, form.get("provider", "")).face.id
    localpart = form.get("name", "").strip().lower()
    user_id, rest = await choose_name(call.tenant, provider, seen.secret, form.get("question", ""), localpart)
    if user_id is None:
        return _name_page(
            seen, provider, rest, localpart, "This name cannot be had; it consists of a-z, 0-9 and ._=-/+"
        )
    return await sign_in(seen, user_id, rest)


@endpoint("POST", f"{ROOT}/upstream/{{provider}}/logout", auth=Auth.NONE, limit=GENERAL, max_body=MAX_FORM)
async def log_out_from_upstream(call: AnonymousCall) -> Reply:
    """A provider ends somebody's sessions (OpenID Connect Back-Channel Logout 1.0)."""
    form = parse_query(call.body.decode("utf-8", "surrogateescape"))
    no_store = {"Cache-Control": "no-store"}
    try:
        provider = provider_named(call.tenant, call.path["provider"])
        await log_out_everywhere(call.tenant, provider, form.get("logout_token", [""])[0])
    except Forbidden as error:
        return Reply(400, {"error": "invalid_request", "error_description": error.message}, no_store)
    return Reply(200, {}, no_store)


def _name_page(seen: Visit, provider: str, question: str, name: str, message: str | None) -> Reply:
    said: dict[str, Any] = {
        "provider": provider,
        "question": question,
        "name": name[:MAX_NAME],
        "message": message,
    }
    return seen.page("upstream_name", 200 if message is None else 400, **said)


def _wrong(call: AnonymousCall, error: MatrixError) -> Reply:
    told: dict[str, Any] = {
        "server": call.tenant.name,
        "user_id": None,
        "message": error.message,
        "root": _UP,
    }
    return page("wrong", error.status, **told)


def _absolute(seen: Visit, reply: Reply) -> Reply:
    """A redirect to one of our pages, from a page that does not lie beside it."""
    location = page_url(seen.tenant, reply.headers["Location"])
    return replace(reply, headers={**reply.headers, "Location": location})
