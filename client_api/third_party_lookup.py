"""Third-party networks (§Third-party networks), of which application services know: none is asked yet, so nothing is known."""

from client_api import ClientCall
from protocol.matrix_error import NotFound
from web.endpoint import Auth, endpoint
from web.reply import Json

_THIRDPARTY = "/_matrix/client/v3/thirdparty"
_UNKNOWN = "No application service of this server knows of that"


@endpoint("GET", _THIRDPARTY + "/protocols", auth=Auth.USER)
async def get_protocols(call: ClientCall) -> Json:
    """The protocols of all application services."""
    return {}


@endpoint("GET", _THIRDPARTY + "/protocol/{protocol}", auth=Auth.USER)
async def get_protocol_metadata(call: ClientCall) -> Json:
    """One of them."""
    raise NotFound(_UNKNOWN)


@endpoint("GET", _THIRDPARTY + "/location/{protocol}", auth=Auth.USER)
async def query_location_by_protocol(call: ClientCall) -> Json:
    """The rooms of a place on another network."""
    call.query_all("fields")
    raise NotFound(_UNKNOWN)


@endpoint("GET", _THIRDPARTY + "/location", auth=Auth.USER)
async def query_location_by_alias(call: ClientCall) -> Json:
    """The place on another network that an alias stands for."""
    call.query_text("alias")
    raise NotFound(_UNKNOWN)


@endpoint("GET", _THIRDPARTY + "/user/{protocol}", auth=Auth.USER)
async def query_user_by_protocol(call: ClientCall) -> Json:
    """The users here who stand for a user of another network."""
    call.query_all("fields")
    raise NotFound(_UNKNOWN)


@endpoint("GET", _THIRDPARTY + "/user", auth=Auth.USER)
async def query_user_by_id(call: ClientCall) -> Json:
    """The user of another network whom a user here stands for."""
    call.query_text("userid")
    raise NotFound(_UNKNOWN)
