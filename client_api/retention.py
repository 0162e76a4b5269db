"""How long messages are kept (MSC1763): for ever, since this server deletes nothing for its age."""

from client_api import ClientCall
from web.endpoint import GENERAL, Auth, endpoint
from web.reply import Json


@endpoint(
    "GET",
    "/_matrix/client/unstable/org.matrix.msc1763/retention/configuration",
    auth=Auth.USER,
    limit=GENERAL,
)
async def get_retention_configuration(call: ClientCall) -> Json:
    """The policies that the server carries out, and the limits that it sets to those of rooms: there are none."""
    return {"policies": {}, "limits": {}}
