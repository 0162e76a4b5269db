"""Sessions in which somebody shows that an e-mail address is theirs, by a link that is mailed there.

A session is good for the one purpose that the mail tells of: whoever is talked into following a link to confirm an
address must not have given away a password by it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from hmac import compare_digest
from urllib.parse import urlencode, urlsplit

from protocol.matrix_error import (
    InvalidParam,
    LimitExceeded,
    SessionExpired,
    ThreepidAuthFailed,
    ThreepidDenied,
    ThreepidInUse,
    ThreepidMediumNotSupported,
    ThreepidNotFound,
    TokenIncorrect,
)
from services.mail.letters import Letter, write_letter
from services.mail.outbox import enqueue_mail, may_send
from services.settings import MailKind
from services.tenant import Tenant
from services.threepids.addresses import EMAIL, canonical_email, domain_of
from storage.threepid_sessions import ThreepidSession as ThreepidSession
from storage.threepid_sessions import begin_session, get_session, sid_of, validate_session
from storage.threepids import owner_of

SUBMIT_PATH = "/_matrix/client/unstable/chat.hearth.email/submit_token"
SID_LENGTH, TOKEN_LENGTH = 24, 43
MAX_LINK = 2048
MAILS_AT_ONCE, MAILS_PER_SECOND = 5, 1 / 300
"""To one address: nobody is to be buried in mails by somebody else."""
_OPAQUE = re.compile(r"[0-9a-zA-Z.=_-]{1,255}")


class Purpose(StrEnum):
    """What the address is shown for; each has a letter of its name."""

    REGISTER = "register"
    ADD = "add"
    PASSWORD = "password"


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """What a client says who wants a mail to be sent."""

    address: str
    client_secret: str
    send_attempt: int
    next_link: str | None = None


async def request_token(tenant: Tenant, purpose: Purpose, asked: TokenRequest) -> str:
    """The session's ID; a mail is on its way, unless one was for this attempt, or there is nothing to show any more.

    Raises InvalidParam, ThreepidMediumNotSupported, ThreepidDenied, LimitExceeded, and ThreepidInUse or
    ThreepidNotFound where the settings do not hide what is known here.
    """
    if not may_send(tenant, MailKind.VERIFICATION):
        raise ThreepidMediumNotSupported("This server sends no mail")
    address = canonical_email(asked.address)
    check_secret(asked.client_secret)
    _check_link(asked.next_link)
    if purpose is not Purpose.PASSWORD:
        _check_domain(tenant, address)
    await _hold_back(tenant, address)
    async with tenant.database.read() as tx:
        is_known = await owner_of(tx, EMAIL, address) is not None
    is_possible = is_known is (purpose is Purpose.PASSWORD)
    if not is_possible and not tenant.settings.threepids.hide_known:
        raise ThreepidInUse if is_known else ThreepidNotFound
    token = tenant.random.token(TOKEN_LENGTH) if is_possible else None
    new = ThreepidSession(
        tenant.random.token(SID_LENGTH),
        purpose,
        EMAIL,
        address,
        asked.client_secret,
        token,
        asked.send_attempt,
        asked.next_link,
        tenant.clock.now(),
    )
    return await _begun(tenant, new)


async def link_session(tenant: Tenant, sid: str, token: str) -> ThreepidSession:
    """The session that a link in a mail is of; raises SessionExpired or TokenIncorrect."""
    session = await _session(tenant, sid)
    if session is None:
        raise SessionExpired("The link is too old, or has been used")
    if session.token is None or not compare_digest(session.token.encode(), token.encode()):
        raise TokenIncorrect("The link is not complete")
    return session


async def confirm(tenant: Tenant, session: ThreepidSession) -> None:
    """From now on the address has been shown to be whose the session is."""
    async with tenant.database.read() as tx:
        await validate_session(tx, session.sid, tenant.clock.now())


async def validated(tenant: Tenant, purpose: Purpose, sid: str, client_secret: str) -> ThreepidSession:
    """The session, when its address has been shown for this purpose; raises ThreepidAuthFailed, or InvalidParam."""
    check_secret(client_secret)
    session = await _session(tenant, sid)
    if session is None or session.purpose != purpose:
        raise ThreepidAuthFailed("There is no such session, or it is too old")
    if not compare_digest(session.client_secret.encode(), client_secret.encode()):
        raise ThreepidAuthFailed("There is no such session, or it is too old")
    if session.validated_at is None:
        raise ThreepidAuthFailed("The link in the mail has not been followed yet")
    return session


def check_secret(client_secret: str) -> None:
    """Raises InvalidParam for what a client secret or session ID cannot be."""
    if not _OPAQUE.fullmatch(client_secret):
        raise InvalidParam("client_secret consists of 1 to 255 of a-z, A-Z, 0-9 and .=_-")


async def _session(tenant: Tenant, sid: str) -> ThreepidSession | None:
    if not _OPAQUE.fullmatch(sid):
        return None
    since = tenant.clock.now() - tenant.settings.threepids.session_lifetime
    async with tenant.database.read() as tx:
        return await get_session(tx, sid, since)


async def _begun(tenant: Tenant, new: ThreepidSession) -> str:
    """The ID of the client's session for the address, this or an earlier one; the mail is on its way where it is due."""
    since = new.created - tenant.settings.threepids.session_lifetime
    async with tenant.database.transaction() as tx:
        session = await begin_session(tx, new, since)
        if session is None:
            # «The server will only send an email if the send_attempt is a number greater than the most recent one»
            return await sid_of(tx, new) or new.sid
        if session.validated_at is None:
            letter = _letter(tenant, session, is_known=new.token is None)
            if letter is not None:
                await enqueue_mail(tenant, letter, lifetime=tenant.settings.threepids.session_lifetime, tx=tx)
    tenant.outbox.ring()
    return session.sid


def _letter(tenant: Tenant, session: ThreepidSession, *, is_known: bool) -> Letter | None:
    if session.token is None or is_known:
        # Nobody is told by us that there is no account; whoever has one is told that somebody has tried.
        if session.purpose == Purpose.PASSWORD:
            return None
        return write_letter(tenant, "known", session.address, {})
    query = urlencode({"sid": session.sid, "token": session.token})
    link = f"{tenant.settings.public_base_url}{SUBMIT_PATH}?{query}"
    return write_letter(tenant, session.purpose, session.address, {"link": link})


def _check_link(link: str | None) -> None:
    if link is None:
        return
    try:
        parts = urlsplit(link)
        is_web = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.username is None
        is_web = is_web and (parts.port is None or parts.port > 0)  # or a ValueError
    except ValueError:
        is_web = False
    if not is_web or len(link) > MAX_LINK or not link.isprintable() or "\\" in link:
        raise InvalidParam("next_link must be a URL of a web page")


def _check_domain(tenant: Tenant, address: str) -> None:
    allowed = tenant.settings.threepids.allowed_domains
    if allowed and domain_of(address) not in allowed:
        raise ThreepidDenied("Addresses of this domain are not allowed here")


async def _hold_back(tenant: Tenant, address: str) -> None:
    if tenant.settings.rate_limits.enabled:
        now = tenant.clock.now()
        wait = await tenant.limits.take(f"mail:{address}", MAILS_PER_SECOND, MAILS_AT_ONCE, now)
        if wait > 0:
            raise LimitExceeded(wait)
