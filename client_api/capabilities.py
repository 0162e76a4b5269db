"""What this server lets its users do, as far as that differs from server to server (§Capabilities negotiation)."""

from client_api import ClientCall
from protocol.room_versions import ROOM_VERSIONS
from web.endpoint import GENERAL, Auth, endpoint
from web.reply import Json

ENABLED = {"enabled": True}
DISABLED = {"enabled": False}
_FOR_ADMINISTRATORS = {"m.account_management": {"lock": True, "suspend": True}}


@endpoint("GET", "/_matrix/client/v3/capabilities", auth=Auth.USER, limit=GENERAL)
async def get_capabilities(call: ClientCall) -> Json:
    """The capabilities; clients hide what is not enabled."""
    return {
        "capabilities": {
            "m.room_versions": {
                "default": call.tenant.settings.default_room_version,
                "available": dict.fromkeys(ROOM_VERSIONS, "stable"),
            },
            "m.change_password": ENABLED,
            "m.profile_fields": ENABLED,
            # «servers that include the displayname profile field in m.profile_fields MUST also set this»; likewise avatar_url
            "m.set_displayname": ENABLED,
            "m.set_avatar_url": ENABLED,
            "m.3pid_changes": DISABLED,
            "m.get_login_token": ENABLED,
            "m.forget_forced_upon_leave": DISABLED,
            **(_FOR_ADMINISTRATORS if call.requester.is_admin else {}),
        }
    }
