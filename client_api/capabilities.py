"""What this server lets its users do, as far as that differs from server to server (§Capabilities negotiation)."""

from typing import Any

from client_api import ClientCall
from protocol.room_versions import ROOM_VERSIONS
from services.mail.outbox import may_send
from services.settings import MailKind
from web.endpoint import GENERAL, Auth, endpoint
from web.reply import Json

ENABLED = {"enabled": True}
DISABLED = {"enabled": False}
_FOR_ADMINISTRATORS = {"m.account_management": {"lock": True, "suspend": True}}


def _delayed_events(call: ClientCall) -> dict[str, Any]:
    limits = call.tenant.settings.delayed_events
    if not limits.enabled:
        return {}
    told = {"max_delay_ms": limits.max_delay, "max_scheduled": limits.max_scheduled}
    return {"org.matrix.msc4140.delayed_events": told}


def _by_password(call: ClientCall) -> dict[str, bool]:
    """What asks for the password is done on the account page by those who came through OAuth."""
    return DISABLED if call.requester.through_oauth else ENABLED


def _threepid_changes(call: ClientCall) -> dict[str, bool]:
    return _by_password(call) if may_send(call.tenant, MailKind.VERIFICATION) else DISABLED


@endpoint("GET", "/_matrix/client/v3/capabilities", auth=Auth.USER, limit=GENERAL)
async def get_capabilities(call: ClientCall) -> Json:
    """The capabilities; clients hide what is not enabled."""
    return {
        "capabilities": {
            "m.room_versions": {
                "default": call.tenant.settings.default_room_version,
                "available": dict.fromkeys(ROOM_VERSIONS, "stable"),
            },
            "m.change_password": _by_password(call),
            # COMPAT matrix-rust-sdk: it reads no capabilities at all that also have the name before v1.16 (uk.tcpip.msc4133...)
            "m.profile_fields": ENABLED,
            # «servers that include the displayname profile field in m.profile_fields MUST also set this»; likewise avatar_url
            "m.set_displayname": ENABLED,
            "m.set_avatar_url": ENABLED,
            "m.3pid_changes": _threepid_changes(call),
            "m.get_login_token": _by_password(call),
            "m.forget_forced_upon_leave": DISABLED,
            **_delayed_events(call),
            **(_FOR_ADMINISTRATORS if call.requester.is_admin else {}),
        }
    }
