"""Account data (§Client Config): what clients keep here for their user, globally or for a room."""

import orjson

from client_api import ClientCall
from client_api.stored_json import has_nul
from protocol.ids import fits
from protocol.matrix_error import BadJson, InvalidParam, NotFound
from services.push.rules import PUSH_RULES, ruleset_of
from storage.account_data import GLOBAL, account_data_change, account_data_deletion, account_data_of
from web.endpoint import GENERAL, Auth, endpoint
from web.reply import Json

_GLOBAL = "/_matrix/client/v3/user/{userId}/account_data/{type}"
_OF_ROOM = "/_matrix/client/v3/user/{userId}/rooms/{roomId}/account_data/{type}"
_UNSTABLE = "/_matrix/client/unstable/org.matrix.msc3391/user/{userId}"

# «This type of account data is controlled by the server; it cannot be modified by clients.»
SERVERS_OWN = ("m.fully_read", PUSH_RULES)


@endpoint("GET", _GLOBAL, auth=Auth.USER)
async def get_account_data(call: ClientCall) -> Json:
    """The content as it was set."""
    return await _get(call, GLOBAL)


@endpoint("PUT", _GLOBAL, auth=Auth.USER, limit=GENERAL)
async def set_account_data(call: ClientCall) -> Json:
    """Sets the content; all devices of the user are told."""
    return await _set(call, GLOBAL)


@endpoint("GET", _OF_ROOM, auth=Auth.USER)
async def get_account_data_per_room(call: ClientCall) -> Json:
    """The content as it was set for the room."""
    return await _get(call, call.room_id())


@endpoint("PUT", _OF_ROOM, auth=Auth.USER, limit=GENERAL)
async def set_account_data_per_room(call: ClientCall) -> Json:
    """Sets the content for the room, which the user need not be in."""
    return await _set(call, call.room_id())


@endpoint("DELETE", _UNSTABLE + "/account_data/{type}", auth=Auth.USER, limit=GENERAL)
async def delete_account_data(call: ClientCall) -> Json:
    """Deletes it (MSC3391); all devices of the user are told by an empty content."""
    return await _delete(call, GLOBAL)


@endpoint("DELETE", _UNSTABLE + "/rooms/{roomId}/account_data/{type}", auth=Auth.USER, limit=GENERAL)
async def delete_account_data_per_room(call: ClientCall) -> Json:
    """Deletes what was set for the room (MSC3391)."""
    return await _delete(call, call.room_id())


async def _get(call: ClientCall, room_id: str) -> Json:
    user_id = call.requester_named().user_id
    if room_id == GLOBAL and call.path["type"] == PUSH_RULES:
        return {"global": (await ruleset_of(call.tenant, user_id)).as_json(user_id)}
    async with call.tenant.database.read() as tx:
        content = await account_data_of(tx, user_id, room_id, call.path["type"])
    if content is None:
        raise NotFound("There is no account data of this type")
    data: Json = orjson.loads(content)
    return data


async def _set(call: ClientCall, room_id: str) -> Json:
    user_id, type, data = call.requester_named().user_id, _clients_type(call), call.json_object()
    content = orjson.dumps(data)
    if type == "m.tag" and has_nul(content):
        raise BadJson("Tags may not contain NUL characters")
    await call.tenant.journal.append(account_data_change(user_id, room_id, type, content))
    return {}


async def _delete(call: ClientCall, room_id: str) -> Json:
    user_id, type = call.requester_named().user_id, _clients_type(call)
    async with call.tenant.database.read() as tx:
        is_there = await account_data_of(tx, user_id, room_id, type) is not None
    if is_there:
        await call.tenant.journal.append(account_data_deletion(user_id, room_id, type))
    return {}


def _clients_type(call: ClientCall) -> str:
    type = call.path["type"]
    if type in SERVERS_OWN:
        raise BadJson(f"{type} is set by the server", status=405)
    if not fits(type):
        raise InvalidParam("The type is longer than 255 bytes")
    return type
