"""Where a user was last heard of (§Server administration)."""

from client_api import ClientCall
from services.accounts.whois import whois
from web.endpoint import Auth, endpoint
from web.reply import Json


@endpoint("GET", "/_matrix/client/v3/admin/whois/{userId}", auth=Auth.USER)
async def get_who_is(call: ClientCall) -> Json:
    """The user's devices, and from where each was used last; for the user and for administrators."""
    user_id = call.user_id()
    found = await whois(call.tenant, call.requester, user_id)
    return {
        "user_id": user_id,
        "devices": {
            device_id: {
                "sessions": [
                    {
                        "connections": [
                            {"ip": seen.address, "last_seen": seen.at, "user_agent": seen.user_agent}
                        ]
                    }
                ]
                if seen is not None
                else []
            }
            for device_id, seen in found.items()
        },
    }
