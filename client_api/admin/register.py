"""Accounts for provisioning tools that know the shared secret, at the path where these tools look for it."""

from client_api import AnonymousCall
from client_api.session_reply import session_json, wish_of
from services.accounts.begin import begin_session
from services.accounts.provision import Provision, new_nonce, provision
from services.profiles import set_profile_field
from services.requester import Requester
from web.endpoint import REGISTRATION, Auth, endpoint
from web.reply import Json

PATH = "/_synapse/admin/v1/register"


@endpoint("GET", PATH, auth=Auth.NONE, limit=REGISTRATION)
async def get_registration_nonce(call: AnonymousCall) -> Json:
    """What the proof of the next request is to be made over."""
    return {"nonce": new_nonce(call.tenant)}


@endpoint("POST", PATH, auth=Auth.NONE, limit=REGISTRATION)
async def register_by_shared_secret(call: AnonymousCall) -> Json:
    """The new user, logged in."""
    wanted = Provision(
        nonce=call.text("nonce"),
        username=call.text("username"),
        password=call.text("password"),
        is_admin=call.flag("admin", False),
        user_type=call.text("user_type", None),
        mac=call.text("mac"),
    )
    display_name = call.text("displayname", None)
    wish = wish_of(call)
    user_id = await provision(call.tenant, wanted)
    if display_name is not None:
        await set_profile_field(call.tenant, Requester(user_id), "displayname", display_name)
    session = await begin_session(call.tenant, user_id, wish)
    return {"home_server": call.tenant.name, **session_json(session)}
