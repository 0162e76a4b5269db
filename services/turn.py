"""Credentials for TURN servers, which carry voice calls where the parties cannot reach each other (§Voice over IP)."""

from __future__ import annotations

import hmac
from base64 import b64encode

from protocol.ids import UserID
from protocol.json import JsonObject
from protocol.matrix_error import NotFound
from services.settings import SECOND
from services.tenant import Tenant


def turn_credentials(tenant: Tenant, user_id: UserID) -> JsonObject:
    """What a client of the user needs to use the TURN servers; raises NotFound where there are none.

    The name says until when it is good, and the password proves that we have said so: the servers know our secret.
    """
    voip = tenant.settings.voip
    if not voip.turn_uris or voip.shared_secret is None:
        # The reply's schema wants all members, and a list without servers is an error in browsers (MSC4166 has it so too).
        raise NotFound("This server has no TURN servers")
    username = f"{(tenant.clock.now() + voip.lifetime) // SECOND}:{user_id}"
    digest = hmac.digest(voip.shared_secret.encode(), username.encode(), "sha1")
    return {
        "username": username,
        "password": b64encode(digest).decode(),
        "uris": list(voip.turn_uris),
        "ttl": voip.lifetime // SECOND,
    }
