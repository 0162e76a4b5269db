"""The endpoints of our OAuth 2.0 provider that clients call themselves (§OAuth 2.0 API); they speak the RFCs' language."""

from collections.abc import Awaitable, Mapping
from typing import Any

from client_api import AnonymousCall
from client_api.oauth_server_metadata import check_enabled
from protocol.matrix_error import BadJson, NotJson
from services.oauth.clients import register
from services.oauth.device_grant import LIFETIME, PACE, begin_device_grant
from services.oauth.errors import OAuthError
from services.oauth.exchange import exchange, revoke
from services.oauth.sessions import From, Granted
from services.oauth.urls import ROOT, page
from services.settings import SECOND
from web.endpoint import GENERAL, REGISTRATION, Auth, endpoint
from web.query import parse_query
from web.reply import Reply

MAX_BODY = 16 * 1024
_NEVER_KEPT = {"Cache-Control": "no-store", "Pragma": "no-cache"}


# There is no rate limit on the next two: a client that reads a refusal takes it for the end of its session (RFC 6749 §5.2 has no
# word for «later»), and what they take cannot be guessed.
@endpoint("POST", f"{ROOT}/token", auth=Auth.NONE, max_body=MAX_BODY)
async def issue_token(call: AnonymousCall) -> Reply:
    """Tokens for a code, a refresh token or a device code."""
    return await _answer(_issue_token(call))


@endpoint("POST", f"{ROOT}/revoke", auth=Auth.NONE, max_body=MAX_BODY)
async def revoke_token(call: AnonymousCall) -> Reply:
    """The end of a session, its device included."""
    return await _answer(_revoke(call))


@endpoint("POST", f"{ROOT}/clients", auth=Auth.NONE, limit=REGISTRATION, max_body=MAX_BODY)
async def register_client(call: AnonymousCall) -> Reply:
    """A client makes itself known (RFC 7591)."""
    return await _answer(_register(call), status=201)


@endpoint("POST", f"{ROOT}/device", auth=Auth.NONE, limit=GENERAL, max_body=MAX_BODY)
async def authorize_device(call: AnonymousCall) -> Reply:
    """Codes for a device on which nobody can type (RFC 8628)."""
    return await _answer(_authorize_device(call))


async def _issue_token(call: AnonymousCall) -> dict[str, Any]:
    origin = From(call.remote, call.headers.get("User-Agent", ""))
    return _tokens(await exchange(call.tenant, _form(call), origin))


async def _revoke(call: AnonymousCall) -> dict[str, Any]:
    await revoke(call.tenant, _form(call))
    return {}


async def _register(call: AnonymousCall) -> dict[str, Any]:
    check_enabled(call.tenant)
    try:
        said = call.json_object()
    except (BadJson, NotJson) as error:
        raise OAuthError("invalid_client_metadata", error.message) from None
    client = await register(call.tenant, said)
    return {"client_id": client.client_id, **client.metadata}


async def _authorize_device(call: AnonymousCall) -> dict[str, Any]:
    begun = await begin_device_grant(call.tenant, _form(call))
    address = page(call.tenant, "link")
    return {
        "device_code": begun.device_code,
        "user_code": begun.user_code,
        "verification_uri": address,
        "verification_uri_complete": f"{address}?user_code={begun.user_code}",
        "expires_in": LIFETIME // SECOND,
        "interval": PACE // SECOND,
    }


async def _answer(work: Awaitable[dict[str, Any]], status: int = 200) -> Reply:
    try:
        return Reply(status, await work, _NEVER_KEPT)
    except OAuthError as error:
        return Reply(error.status, error.body(), _NEVER_KEPT)


def _form(call: AnonymousCall) -> Mapping[str, str]:
    """The fields of the request's body; raises OAuthError where one is there twice."""
    check_enabled(call.tenant)
    fields = parse_query(call.body.decode("utf-8", "surrogateescape"))
    # «Request and response parameters MUST NOT be included more than once.» (RFC 6749 §3.2)
    if any(len(values) > 1 for values in fields.values()):
        raise OAuthError("invalid_request", "A parameter is there more than once")
    return {name: values[0] for name, values in fields.items()}


def _tokens(granted: Granted) -> dict[str, Any]:
    session = granted.session
    return {
        "access_token": session.access_token,
        "token_type": "Bearer",
        "expires_in": (session.expires_in or 0) // SECOND,
        "refresh_token": session.refresh_token,
        "scope": granted.scope,
    }
