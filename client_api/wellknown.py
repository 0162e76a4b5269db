"""Where a client that was told only a server name finds the server (§Server Discovery)."""

from client_api import AnonymousCall
from protocol.matrix_error import NotFound
from web.endpoint import Auth, endpoint
from web.reply import Json


@endpoint("GET", "/.well-known/matrix/client", auth=Auth.NONE)
async def get_wellknown(call: AnonymousCall) -> Json:
    """The public base URL; raises NotFound where none is configured, upon which clients ask the user."""
    base_url = call.tenant.settings.public_base_url
    if not base_url:
        raise NotFound("No public base URL is configured")
    return {"m.homeserver": {"base_url": base_url}}
