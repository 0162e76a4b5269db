"""The rooms of a user (§Room membership)."""

from client_api import ClientCall
from services.rooms.read import joined_rooms
from web.endpoint import Auth, endpoint
from web.reply import Json


@endpoint("GET", "/_matrix/client/v3/joined_rooms", auth=Auth.USER)
async def get_joined_rooms(call: ClientCall) -> Json:
    """The rooms that the user is in."""
    return {"joined_rooms": await joined_rooms(call.tenant, call.requester)}
