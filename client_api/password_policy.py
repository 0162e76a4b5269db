"""What a password must be like (MSC2000)."""

from client_api import AnonymousCall
from web.endpoint import GENERAL, Auth, endpoint
from web.reply import Json


@endpoint("GET", "/_matrix/client/v3/password_policy", auth=Auth.NONE, limit=GENERAL)
async def get_password_policy(call: AnonymousCall) -> Json:
    """The policy; what is not required is left out."""
    passwords = call.tenant.settings.passwords
    required = {
        "m.require_digit": passwords.require_digit,
        "m.require_lowercase": passwords.require_lowercase,
        "m.require_uppercase": passwords.require_uppercase,
        "m.require_symbol": passwords.require_symbol,
    }
    return {
        "m.minimum_length": passwords.minimum_length,
        **{name: True for name, is_so in required.items() if is_so},
    }
