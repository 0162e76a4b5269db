"""An application service asks whether the server can reach it (§Application Service API, «Pinging»)."""

from client_api import ClientCall
from services.appservices import ping
from web.endpoint import Auth, endpoint
from web.reply import Json


@endpoint("POST", "/_matrix/client/v1/appservice/{appserviceId}/ping", auth=Auth.APPSERVICE)
async def ping_appservice(call: ClientCall) -> Json:
    """How long it took."""
    txn_id = call.text("transaction_id", None)
    return {"duration_ms": await ping.ping(call.tenant, call.requester, call.path["appserviceId"], txn_id)}
