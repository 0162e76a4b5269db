"""The room directories of application services' networks (§Application service room directory management)."""

from client_api import ClientCall
from protocol.matrix_error import InvalidParam
from services.appservices.room_directory import set_in_network
from web.endpoint import Auth, endpoint
from web.reply import Json


@endpoint("PUT", "/_matrix/client/v3/directory/list/appservice/{networkId}/{roomId}", auth=Auth.APPSERVICE)
async def update_appservice_room_directory_visibility(call: ClientCall) -> Json:
    """Puts the room into the network's directory, or takes it out."""
    visibility = call.text("visibility")
    if visibility not in ("public", "private"):
        raise InvalidParam("visibility is public or private")
    network, room_id = call.path["networkId"], call.room_id()
    await set_in_network(call.tenant, call.requester, network, room_id, visibility == "public")
    return {}
