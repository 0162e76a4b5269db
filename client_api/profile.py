"""Profiles (§Profiles): what a user shows of themselves, field by field."""

from client_api import AnonymousCall, ClientCall
from protocol.matrix_error import MissingParam
from services import profiles
from web.endpoint import GENERAL, Auth, endpoint
from web.reply import Json

_PROFILE = "/_matrix/client/v3/profile/{userId}"
_FIELD = _PROFILE + "/{keyName}"
# MSC4133, before v1.16.
_UNSTABLE = ("/_matrix/client/unstable/uk.tcpip.msc4133/profile/{userId}/{keyName}",)


@endpoint("GET", _PROFILE, auth=Auth.NONE)
async def get_user_profile(call: AnonymousCall) -> Json:
    """All fields."""
    return await profiles.get_profile(call.tenant, call.user_id())


@endpoint("GET", _FIELD, auth=Auth.NONE, also=_UNSTABLE)
async def get_profile_field(call: AnonymousCall) -> Json:
    """One field, as an object with one member."""
    return await profiles.get_profile_field(call.tenant, call.user_id(), call.path["keyName"])


@endpoint("PUT", _FIELD, auth=Auth.USER, guest=True, limit=GENERAL, also=_UNSTABLE)
async def set_profile_field(call: ClientCall) -> Json:
    """Sets one's own field to the body's member of the same name, whatever JSON that is."""
    key, body = call.path["keyName"], call.json_object()
    requester = call.requester_named()
    profiles.check_key(requester, key)
    if key not in body:
        raise MissingParam(f"{key} is missing")
    await profiles.set_profile_field(call.tenant, requester, key, body[key])
    return {}


@endpoint("DELETE", _FIELD, auth=Auth.USER, guest=True, limit=GENERAL, also=_UNSTABLE)
async def delete_profile_field(call: ClientCall) -> Json:
    """Takes one's own field away, if it is there."""
    await profiles.delete_profile_field(call.tenant, call.requester_named(), call.path["keyName"])
    return {}
