"""Voice calls (§Voice over IP)."""

from client_api import ClientCall
from services.turn import turn_credentials
from web.endpoint import GENERAL, Auth, endpoint
from web.reply import Json


@endpoint("GET", "/_matrix/client/v3/voip/turnServer", auth=Auth.USER, limit=GENERAL)
async def get_turn_server(call: ClientCall) -> Json:
    """Credentials for the TURN servers."""
    return turn_credentials(call.tenant, call.requester.user_id)


@endpoint(
    "GET",
    "/_matrix/client/v1/rtc/transports",
    auth=Auth.USER,
    guest=True,
    limit=GENERAL,
    also=("/_matrix/client/unstable/org.matrix.msc4143/rtc/transports",),
)
async def get_rtc_transports(call: ClientCall) -> Json:
    """The services that carry calls of many (MSC4143, MSC4519)."""
    return {"rtc_transports": call.tenant.settings.voip.rtc_transports}
