"""Mails wait in the database until the mail server has taken them: in whatever process, and after a restart too."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from email.utils import format_datetime, parseaddr

from services.background import running
from services.mail.letters import Letter
from services.mail.outcome import Outcome
from services.observations import BackgroundFailure, Level
from services.settings import DAY, HOUR, MINUTE, SECOND, Mail, MailKind
from services.tenant import Tenant
from storage.database import Tx
from storage.mail import WaitingMail, delete_mails, insert_mail, next_due, postpone_mails, take_mails

AT_ONCE = 10  # mails over one connection
LEASE = 10 * MINUTE  # whoever has not sent them by then has died
FIRST_PAUSE, LONGEST_PAUSE = MINUTE, HOUR
LOOK_AGAIN = MINUTE  # another process may have died
MESSAGE_ID_LENGTH = 24


@dataclass(frozen=True, slots=True)
class MailNotSent:
    """The mail server did not take a mail; `last`: it is not tried again."""

    reason: str
    last: bool
    level: Level = Level.WARNING

    def __str__(self) -> str:
        return f"a mail was not sent{'' if self.last else ' yet'}: {self.reason}"


def may_send(tenant: Tenant, kind: MailKind) -> bool:
    """Is there a mail server, and are such mails wanted?"""
    mail = tenant.settings.mail
    return mail.host is not None and kind in mail.sends


def sender_of(tenant: Tenant) -> str:
    """Whom mails are from."""
    return tenant.settings.mail.sender or f"noreply@{tenant.name.partition(':')[0]}"


async def enqueue_mail(tenant: Tenant, letter: Letter, *, lifetime: int = DAY, tx: Tx | None = None) -> None:
    """From now on the letter is on its way, for so long (ms) as it is worth sending. Ask `may_send` before.

    With a transaction it is on its way once that is committed; ring `tenant.outbox` then.
    """
    now = tenant.clock.now()
    message = _message(tenant, letter)
    if tx is not None:
        await insert_mail(tx, letter.recipient, message, now, now + lifetime)
        return
    async with tenant.database.read() as own:
        await insert_mail(own, letter.recipient, message, now, now + lifetime)
    tenant.outbox.ring()


def _message(tenant: Tenant, letter: Letter) -> bytes:
    local, _, domain = letter.recipient.rpartition("@")
    sender = sender_of(tenant)
    message = EmailMessage(policy=SMTP if letter.recipient.isascii() and sender.isascii() else SMTPUTF8)
    message["From"] = sender
    message["To"] = Address(username=local, domain=domain)
    message["Subject"] = letter.subject
    message["Date"] = format_datetime(datetime.fromtimestamp(tenant.clock.now() // SECOND, UTC))
    ours = parseaddr(sender)[1].rpartition("@")[2] or "localhost"
    message["Message-ID"] = f"<{tenant.random.token(MESSAGE_ID_LENGTH)}@{ours}>"
    message["Auto-Submitted"] = "auto-generated"
    for name, value in letter.headers.items():
        message[name] = value
    message.set_content(letter.text)
    message.add_alternative(letter.html, subtype="html")
    return message.as_bytes()


@asynccontextmanager
async def mail_alive(tenant: Tenant) -> AsyncIterator[None]:
    """While this lasts, mails are sent; nothing is done without a mail server."""
    if tenant.settings.mail.host is None:
        yield
        return
    async with running({"mail": _send_again_and_again(tenant, tenant.settings.mail)}):
        yield


async def _send_again_and_again(tenant: Tenant, settings: Mail) -> None:
    task = asyncio.current_task()
    # `wait_for` of Python 3.11, which the mail library calls, loses a cancellation that comes with its result.
    while task is not None and not task.cancelling():
        try:
            until = await _send_those_due(tenant, settings)
        except Exception as error:  # noqa: BLE001 - it goes on
            tenant.observe(BackgroundFailure("mail", error))
            until = tenant.clock.now() + FIRST_PAUSE
        if until > 0:
            await tenant.outbox.wait(tenant.clock, until)


async def _send_those_due(tenant: Tenant, settings: Mail) -> int:
    """Sends what is due; when to look again."""
    from services.mail.smtp import hand_over  # see there

    now = tenant.clock.now()
    async with tenant.database.transaction() as tx:
        mails = await take_mails(tx, now, now + LEASE, AT_ONCE)
        following = None if mails else await next_due(tx)
    if not mails:
        return now + LOOK_AGAIN if following is None else min(following, now + LOOK_AGAIN)
    current = [mail for mail in mails if mail.expires > now]
    outcomes = await hand_over(settings, parseaddr(sender_of(tenant))[1], current)
    again = [mail for mail in current if _is_tried_again(tenant, mail, outcomes[mail.number])]
    async with tenant.database.transaction() as tx:
        await delete_mails(tx, {mail.number for mail in mails} - {mail.number for mail in again})
        await postpone_mails(tx, [(mail.number, tenant.clock.now() + _pause(mail)) for mail in again])
    return 0


def _is_tried_again(tenant: Tenant, mail: WaitingMail, outcome: Outcome) -> bool:
    if outcome.refusal is None:
        return False
    last = outcome.is_final or tenant.clock.now() + _pause(mail) >= mail.expires
    tenant.observe(MailNotSent(outcome.refusal, last))
    return not last


def _pause(mail: WaitingMail) -> int:
    doublings = min(mail.attempts - 1, 10)
    return int(min(FIRST_PAUSE * 2**doublings, LONGEST_PAUSE))
