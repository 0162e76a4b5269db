"""Who asks: the front door's question, put to accounts and application services."""

from __future__ import annotations

from typing import Any

import federation.authenticate
from protocol.matrix_error import MissingToken
from services.accounts.authenticate import Claim, Who, authenticate
from services.requester import Peer, Requester
from services.tenant import Tenant
from web.call import Call
from web.endpoint import Auth

_FOR_LOCKED_USERS = frozenset({"/_matrix/client/v3/logout", "/_matrix/client/v3/logout/all"})


async def requester_of(call: Call[Tenant, Any]) -> Requester | Peer:
    """The account behind the call's access token, or the server behind its signature; raises UnknownToken and its like."""
    if call.endpoint.auth is Auth.SERVER:
        return await federation.authenticate.authenticate(call)
    token = call.access_token()
    if token is None:
        raise MissingToken
    # Whom it acts for is asked of application services only: `user_id` in the query may mean something else.
    masks = call.tenant.appservices.known
    claim = Claim(
        token=token,
        user_id=call.query_text("user_id", None) if masks else None,
        device_id=_device_id(call) if masks else None,
        address=call.remote,
        user_agent=call.headers.get("User-Agent", ""),
    )
    return await authenticate(call.tenant, _who(call), claim)


def _who(call: Call[Tenant, Any]) -> Who:
    if call.endpoint.auth is Auth.APPSERVICE:
        return Who.APPSERVICE
    return Who.LOCKED_USER if call.endpoint.path in _FOR_LOCKED_USERS else Who.USER


def _device_id(call: Call[Tenant, Any]) -> str | None:
    # The second name is that of MSC3202, which bridges used before v1.17.
    return call.query_text("device_id", None) or call.query_text("org.matrix.msc3202.device_id", None)
