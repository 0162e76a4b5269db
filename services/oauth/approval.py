"""Interactive authentication of sessions that came through OAuth: on the account page only (§OAuth authentication)."""

from __future__ import annotations

from typing import Any

from protocol.matrix_error import InteractiveAuthNeeded, Unrecognized
from services.oauth.browsers import is_reset_allowed
from services.oauth.urls import account_page
from services.requester import Requester
from services.tenant import Tenant

STAGES = ("m.oauth", "org.matrix.cross_signing_reset")
"""The second is the name before v1.17."""
RESET = "org.matrix.cross_signing_reset"
SESSION_LENGTH = 32


async def require_approval(tenant: Tenant, requester: Requester) -> None:
    """Returns once when the user has allowed to replace the cross-signing keys; else raises InteractiveAuthNeeded.

    The session says nothing to us: what counts is what the user has said on the account page, and for how long.
    """
    if await is_reset_allowed(tenant, requester.user_id):
        return
    stages: dict[str, Any] = {
        "flows": [{"stages": [stage]} for stage in STAGES],
        "params": {stage: {"url": account_page(tenant, RESET)} for stage in STAGES},
        "session": tenant.random.token(SESSION_LENGTH),
    }
    raise InteractiveAuthNeeded(stages)


def refuse_oauth(requester: Requester | None) -> None:
    """«Since this endpoint uses User-Interactive Authentication, it cannot be used when the access token was obtained via the
    OAuth 2.0 API»: raises Unrecognized."""
    if requester is not None and requester.through_oauth:
        raise Unrecognized("This is done on the account page: your session was begun through OAuth 2.0")
