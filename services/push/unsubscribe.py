"""No more mails about missed messages: by a link that is signed, so that nobody has to log in, nor can do it for others."""

from __future__ import annotations

from urllib.parse import urlencode

from protocol.errors import BadSignature
from protocol.ids import UserID
from protocol.matrix_error import Forbidden
from services.push.pushers import MAIL_APP, delete_pusher
from services.tenant import Tenant

UNSUBSCRIBE_PATH = "/_matrix/client/unstable/chat.hearth.email/unsubscribe"


def unsubscribe_link(tenant: Tenant, user_id: UserID, address: str) -> str:
    """Where mails to this address end."""
    token = tenant.signing_key.sign(_signed(user_id, address))
    query = urlencode({"user": user_id, "address": address, "token": token})
    return f"{tenant.settings.public_base_url}{UNSUBSCRIBE_PATH}?{query}"


def check_unsubscribe(tenant: Tenant, user_id: str, address: str, token: str) -> None:
    """Raises Forbidden unless the link is one of ours."""
    for key in (tenant.signing_key.verify_key, *tenant.old_keys):
        try:
            key.verify(_signed(user_id, address), token)
        except BadSignature:
            continue
        return
    raise Forbidden("This link is not one of ours")


async def unsubscribe(tenant: Tenant, user_id: str, address: str, token: str) -> None:
    """No mail goes there any more; raises Forbidden unless the link is one of ours."""
    check_unsubscribe(tenant, user_id, address, token)
    await delete_pusher(tenant, UserID(user_id), MAIL_APP, address)


def _signed(user_id: str, address: str) -> bytes:
    # No JSON object begins like this, which is what the key signs else.
    return f"hearth: no more mails\0{user_id}\0{address}".encode()
