"""What requests for a validation token have in common: an address, and a secret of the client's."""

from client_api import AnonymousCall
from protocol.matrix_error import ThreepidMediumNotSupported
from services.threepids.sessions import Purpose, TokenRequest, check_secret, request_token
from web.reply import Json


async def mail_token(call: AnonymousCall, purpose: Purpose) -> Json:
    """The ID of the session; the mail is on its way."""
    _ignored(call)
    asked = TokenRequest(
        call.text("email"),
        call.text("client_secret"),
        call.integer("send_attempt"),
        call.text("next_link", None),
    )
    return {"sid": await request_token(call.tenant, purpose, asked)}


def refuse_phone(call: AnonymousCall) -> Json:
    """Raises ThreepidMediumNotSupported: this server sends no text messages."""
    for name in ("country", "phone_number"):
        call.text(name)
    call.integer("send_attempt")
    call.text("next_link", None)
    _ignored(call)
    check_secret(call.text("client_secret"))
    raise ThreepidMediumNotSupported("This server works with no phone numbers")


def _ignored(call: AnonymousCall) -> None:
    """«This parameter is ignored when the homeserver handles 3PID verification»: but for its kind."""
    for name in ("id_server", "id_access_token"):
        call.text(name, None)
