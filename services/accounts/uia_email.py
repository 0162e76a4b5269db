"""The stage m.login.email.identity (§Email-based authentication): an address was shown, for this very operation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from protocol.matrix_error import BadJson, MissingParam, ThreepidAuthFailed, ThreepidNotFound
from services.tenant import Tenant
from services.threepids.addresses import EMAIL
from services.threepids.lookup import user_with
from services.threepids.sessions import Purpose, validated
from storage.threepids import Threepid

ADDRESS, VALIDATED_AT, SID = "email", "email_validated_at", "email_sid"
"""What the stage has shown."""


@dataclass(frozen=True, slots=True)
class Shown:
    """The address that somebody has shown to be theirs, and the session in which they did."""

    threepid: Threepid
    sid: str


async def shown_by_email(tenant: Tenant, path: str, said: Mapping[str, Any]) -> Mapping[str, str]:
    """What the client's credentials show; for a new password also whose account it is. Raises ThreepidAuthFailed."""
    purpose = Purpose.REGISTER if path.endswith("/register") else Purpose.PASSWORD
    # `threepidCreds` is how it was called before r0.5.
    credentials = said.get("threepid_creds", said.get("threepidCreds"))
    if credentials is None:
        raise MissingParam("threepid_creds is missing")
    if not isinstance(credentials, dict):
        raise BadJson("threepid_creds must be an object")
    sid, client_secret = credentials.get("sid"), credentials.get("client_secret")
    if not isinstance(sid, str) or not isinstance(client_secret, str):
        raise BadJson("threepid_creds must have a sid and a client_secret")
    session = await validated(tenant, purpose, sid, client_secret)
    shown = {ADDRESS: session.address, VALIDATED_AT: str(session.validated_at), SID: session.sid}
    if purpose is Purpose.REGISTER:
        return shown
    user_id = await user_with(tenant, EMAIL, session.address)
    if user_id is None:
        raise ThreepidNotFound
    return {**shown, "user_id": user_id}


def shown_of(facts: Mapping[str, str], now: int) -> Shown | None:
    """The address that the stage has shown, if it has been passed."""
    if ADDRESS not in facts:
        return None
    return Shown(Threepid(EMAIL, facts[ADDRESS], int(facts[VALIDATED_AT]), now), facts[SID])


def check_unused(is_unused: bool) -> None:
    """Raises ThreepidAuthFailed for a session that has served its purpose already."""
    if not is_unused:
        raise ThreepidAuthFailed("This session has been used already")
