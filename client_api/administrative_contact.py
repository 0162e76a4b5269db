"""The addresses of an account, and what of them is published (§Adding Account Administrative Contact Information)."""

from client_api import AnonymousCall, ClientCall
from client_api.interactive import operation_of
from client_api.token_request import mail_token, refuse_phone
from services.threepids.bindings import bind, unbind
from services.threepids.identity import identity_server
from services.threepids.own import add_threepid, delete_own_threepid, own_threepids
from services.threepids.sessions import Purpose
from web.body import Fields
from web.endpoint import GENERAL, LOGIN, Auth, endpoint
from web.reply import Json

_3PID = "/_matrix/client/v3/account/3pid"


@endpoint("GET", _3PID, auth=Auth.USER, limit=GENERAL)
async def get_account_3pids(call: ClientCall) -> Json:
    """All addresses of the account."""
    return {
        "threepids": [
            {
                "medium": threepid.medium,
                "address": threepid.address,
                "validated_at": threepid.validated_at,
                "added_at": threepid.added_at,
            }
            for threepid in await own_threepids(call.tenant, call.requester)
        ]
    }


@endpoint("POST", _3PID, auth=Auth.USER, limit=LOGIN)
async def post_3pids(call: ClientCall) -> Json:
    """«making this endpoint behave as though it was ... equivalent to /3pid/bind»."""
    return await _bound(call, Fields(call.object("three_pid_creds")))


@endpoint("POST", _3PID + "/add", auth=Auth.USER, limit=LOGIN)
async def add_3pid(call: ClientCall) -> Json:
    """The address that was shown to be the user's is one of the account."""
    credentials = (call.text("sid"), call.text("client_secret"))
    await add_threepid(call.tenant, call.requester, *credentials, operation_of(call))
    return {}


@endpoint("POST", _3PID + "/bind", auth=Auth.USER, limit=LOGIN)
async def bind_3pid(call: ClientCall) -> Json:
    """The identity server publishes the address."""
    return await _bound(call, call.fields)


async def _bound(call: ClientCall, fields: Fields) -> Json:
    name, access_token = fields.text("id_server"), fields.text("id_access_token")
    credentials = (fields.text("sid"), fields.text("client_secret"))
    server = identity_server(call.tenant, name, access_token)
    await bind(call.tenant, call.requester, server, *credentials)
    return {}


@endpoint("POST", _3PID + "/delete", auth=Auth.USER, limit=LOGIN)
async def delete_3pid_from_account(call: ClientCall) -> Json:
    """The address is none of the account any more, and as far as that is possible not published."""
    of = (call.text("medium"), call.text("address"), call.text("id_server", None))
    return _unbound(await delete_own_threepid(call.tenant, call.requester, *of))


@endpoint("POST", _3PID + "/unbind", auth=Auth.USER, limit=LOGIN)
async def unbind_3pid_from_account(call: ClientCall) -> Json:
    """The address is not published any more, but still one of the account."""
    of = (call.text("medium"), call.text("address"), call.text("id_server", None))
    return _unbound(await unbind(call.tenant, call.requester.user_id, *of))


def _unbound(is_unbound: bool) -> Json:
    return {"id_server_unbind_result": "success" if is_unbound else "no-support"}


@endpoint("POST", _3PID + "/email/requestToken", auth=Auth.NONE, limit=LOGIN)
async def request_token_to_3pid_email(call: AnonymousCall) -> Json:
    """A link is mailed to an address that is to be one of an account."""
    return await mail_token(call, Purpose.ADD)


@endpoint("POST", _3PID + "/msisdn/requestToken", auth=Auth.NONE, limit=LOGIN)
async def request_token_to_3pid_msisdn(call: AnonymousCall) -> Json:
    """This server works with no phone numbers."""
    return refuse_phone(call)
