"""Third-party networks (§Third-party networks), of which application services know."""

from client_api import ClientCall
from services.appservices import third_party
from web.endpoint import Auth, endpoint
from web.reply import Json

_THIRDPARTY = "/_matrix/client/v3/thirdparty"
_OURS = frozenset(("access_token", "user_id", "device_id"))
"""Parameters of the query that are not for the application service."""


@endpoint("GET", _THIRDPARTY + "/protocols", auth=Auth.USER)
async def get_protocols(call: ClientCall) -> Json:
    """The protocols of all application services."""
    return await third_party.protocols(call.tenant)


@endpoint("GET", _THIRDPARTY + "/protocol/{protocol}", auth=Auth.USER)
async def get_protocol_metadata(call: ClientCall) -> Json:
    """One of them."""
    return await third_party.protocol(call.tenant, call.path["protocol"])


@endpoint("GET", _THIRDPARTY + "/location/{protocol}", auth=Auth.USER)
async def query_location_by_protocol(call: ClientCall) -> Json:
    """The rooms of a place on another network."""
    return await _look_up(call, "location", call.path["protocol"])


@endpoint("GET", _THIRDPARTY + "/location", auth=Auth.USER)
async def query_location_by_alias(call: ClientCall) -> Json:
    """The place on another network that an alias stands for."""
    call.query_text("alias")
    return await _look_up(call, "location", None)


@endpoint("GET", _THIRDPARTY + "/user/{protocol}", auth=Auth.USER)
async def query_user_by_protocol(call: ClientCall) -> Json:
    """The users here who stand for a user of another network."""
    return await _look_up(call, "user", call.path["protocol"])


@endpoint("GET", _THIRDPARTY + "/user", auth=Auth.USER)
async def query_user_by_id(call: ClientCall) -> Json:
    """The user of another network whom a user here stands for."""
    call.query_text("userid")
    return await _look_up(call, "user", None)


async def _look_up(call: ClientCall, kind: str, protocol: str | None) -> Json:
    query = [(name, value) for name, values in call.query.items() if name not in _OURS for value in values]
    return await third_party.look_up(call.tenant, kind, protocol, query)
