"""The end of an account (§Legacy API, «Account deactivation»)."""

from client_api import AnyonesCall
from client_api.interactive import operation_of
from services.accounts.change_password import confirmed_user
from services.accounts.deactivate import deactivate
from services.threepids.bindings import to_unbind, unbind_all
from services.threepids.identity import identity_server
from web.endpoint import LOGIN, Auth, endpoint
from web.reply import Json


@endpoint("POST", "/_matrix/client/v3/account/deactivate", auth=Auth.OPTIONAL, limit=LOGIN)
async def deactivate_account(call: AnyonesCall) -> Json:
    """Nobody can log in any more, and nobody will ever have the name again."""
    erase, id_server = call.flag("erase", False), call.text("id_server", None)
    if id_server is not None:
        identity_server(call.tenant, id_server)
    user_id = await confirmed_user(call.tenant, call.requester, operation_of(call))
    published = await to_unbind(call.tenant, user_id, id_server)
    await deactivate(call.tenant, user_id, erase=erase)
    # «This must be success if the homeserver has no identifiers to unbind for the user.»
    is_unbound = await unbind_all(call.tenant, user_id, published)
    return {"id_server_unbind_result": "success" if is_unbound else "no-support"}
