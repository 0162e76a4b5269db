"""Our users' devices and keys, for other servers (§Device Management, §End-to-End Encryption)."""

from __future__ import annotations

from typing import Any

from federation import ServerCall
from protocol.errors import InvalidId
from protocol.ids import UserID, parse_user_id, server_of
from protocol.matrix_error import BadJson, InvalidParam, NotFound
from services.keys import claim, serving
from web.body import Fields
from web.endpoint import Auth, endpoint
from web.reply import Json

MAX_BODY = 1024 * 1024
MAX_USERS = 1000


@endpoint("GET", "/_matrix/federation/v1/user/devices/{userId}", auth=Auth.SERVER)
async def get_user_devices(call: ServerCall) -> Json:
    """All devices of a user of ours, with their keys, and the number that updates of the list go on from."""
    user_id = call.user_id()
    if server_of(user_id) != call.tenant.name:
        raise NotFound("This is no user of this server")
    return await serving.devices_for_server(call.tenant, user_id)


@endpoint("POST", "/_matrix/federation/v1/user/keys/query", auth=Auth.SERVER, max_body=MAX_BODY)
async def query_user_encryption_keys(call: ServerCall) -> Json:
    """The keys of our users' devices, and the users' own."""
    asked = call.fields.object("device_keys")
    wanted = {user_id: Fields(asked).strings(user_id, []) for user_id in _ours(call, asked)}
    return await serving.keys_for_server(call.tenant, wanted)


@endpoint("POST", "/_matrix/federation/v1/user/keys/claim", auth=Auth.SERVER, max_body=MAX_BODY)
async def claim_user_encryption_keys(call: ServerCall) -> Json:
    """A one-time key for each of the devices."""
    asked = call.fields.object("one_time_keys")
    claims = {user_id: _algorithms(user_id, asked[user_id]) for user_id in _ours(call, asked)}
    return {"one_time_keys": (await claim.claim_keys(call.tenant, claims)).one_time_keys}


def _ours(call: ServerCall, asked: dict[str, Any]) -> list[UserID]:
    """«Requested users must be local to the receiving homeserver»: of others we say nothing."""
    if len(asked) > MAX_USERS:
        raise InvalidParam(f"One may ask for at most {MAX_USERS} users at once")
    try:
        users = [parse_user_id(user_id) for user_id in asked]
    except InvalidId as error:
        raise InvalidParam(str(error)) from None
    return [user_id for user_id in users if server_of(user_id) == call.tenant.name and "\0" not in user_id]


def _algorithms(name: str, value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise BadJson(f"{name} must map device IDs to algorithms")
    return value
