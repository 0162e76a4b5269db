"""What clients must know of our OAuth 2.0 provider (§OAuth 2.0 API, «Server metadata discovery»)."""

from typing import Any

from client_api import AnonymousCall
from protocol.matrix_error import Unrecognized
from services.oauth.metadata import GRANTS
from services.oauth.urls import page
from services.tenant import Tenant
from web.endpoint import Auth, endpoint
from web.reply import Json

ACTIONS = (
    "org.matrix.profile",
    "org.matrix.devices_list",
    "org.matrix.device_view",
    "org.matrix.device_delete",
    "org.matrix.account_deactivate",
    "org.matrix.cross_signing_reset",
)
OLD_ACTIONS = ("org.matrix.sessions_list", "org.matrix.session_view", "org.matrix.session_end")
"""The names that MSC4191 had for devices before v1.18."""
UNSTABLE = "/_matrix/client/unstable/org.matrix.msc2965"


@endpoint("GET", "/_matrix/client/v1/auth_metadata", auth=Auth.NONE)
async def get_auth_metadata(call: AnonymousCall) -> Json:
    """The provider's metadata; raises Unrecognized where it is switched off."""
    return _metadata(call.tenant)


@endpoint("GET", f"{UNSTABLE}/auth_metadata", auth=Auth.NONE, also=("/.well-known/openid-configuration",))
async def get_auth_metadata_as_before(call: AnonymousCall) -> Json:
    """The same, for clients from before v1.15, with the names that they know."""
    return {**_metadata(call.tenant), "account_management_actions_supported": [*ACTIONS, *OLD_ACTIONS]}


@endpoint("GET", f"{UNSTABLE}/auth_issuer", auth=Auth.NONE)
async def get_auth_issuer(call: AnonymousCall) -> Json:
    """Whom the oldest clients ask for /.well-known/openid-configuration."""
    return {"issuer": _metadata(call.tenant)["issuer"]}


def _metadata(tenant: Tenant) -> dict[str, Any]:
    check_enabled(tenant)
    return {
        "issuer": f"{tenant.settings.public_base_url}/",
        "authorization_endpoint": page(tenant, "authorize"),
        "token_endpoint": page(tenant, "token"),
        "revocation_endpoint": page(tenant, "revoke"),
        "registration_endpoint": page(tenant, "clients"),
        "device_authorization_endpoint": page(tenant, "device"),
        "account_management_uri": page(tenant, "account"),
        "account_management_actions_supported": list(ACTIONS),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query", "fragment"],
        "grant_types_supported": list(GRANTS),
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": ["none"],
        "revocation_endpoint_auth_methods_supported": ["none"],
        "prompt_values_supported": ["create"],
    }


def check_enabled(tenant: Tenant) -> None:
    """Raises Unrecognized where there is no OAuth 2.0 API."""
    if not tenant.settings.oauth.enabled:
        raise Unrecognized("There is no OAuth 2.0 API here")
