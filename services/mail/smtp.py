"""Handing mails to the mail server (SMTP). Who has none does not load this."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping, Sequence

import aiosmtplib

from services.mail.outcome import Outcome
from services.settings import Mail, MailTls
from storage.mail import WaitingMail

SECONDS = 45.0
"""How long is waited for the connection, and for each mail."""
PERMANENT = 500


async def hand_over(settings: Mail, sender: str, mails: Sequence[WaitingMail]) -> Mapping[int, Outcome]:
    """What became of each mail, by its number."""
    outcomes: dict[int, Outcome] = {}
    if not mails:
        return outcomes
    client = _client(settings)
    try:
        async with asyncio.timeout(SECONDS):
            await client.connect()
        for mail in mails:
            outcomes[mail.number] = await _send(client, sender, mail)
        async with asyncio.timeout(SECONDS):
            await client.quit()
    except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
        client.close()
        reason = f"{settings.host}: {str(error) or type(error).__name__}"
        return {mail.number: Outcome(reason) for mail in mails} | outcomes
    return outcomes


def _client(settings: Mail) -> aiosmtplib.SMTP:
    tls = None if settings.tls is MailTls.NONE else ssl.create_default_context()
    if tls is not None and settings.ca_file is not None:
        tls.load_verify_locations(settings.ca_file)
    return aiosmtplib.SMTP(
        hostname=settings.host,
        port=settings.port,
        username=settings.user,
        password=settings.password,
        use_tls=settings.tls is MailTls.TLS,
        start_tls=settings.tls is MailTls.STARTTLS,
        tls_context=tls,
        timeout=SECONDS,
    )


async def _send(client: aiosmtplib.SMTP, sender: str, mail: WaitingMail) -> Outcome:
    """What became of the mail; raises what ends the connection."""
    options = [] if mail.recipient.isascii() else ["SMTPUTF8"]
    try:
        async with asyncio.timeout(SECONDS):
            await client.sendmail(sender, [mail.recipient], mail.message, mail_options=options)
    except aiosmtplib.SMTPRecipientsRefused as error:
        refused = error.recipients[0]
        return Outcome(f"{refused.code} {refused.message}", is_final=refused.code >= PERMANENT)
    except aiosmtplib.SMTPSenderRefused as error:  # a mistake in the configuration, that may be mended
        return Outcome(f"{error.code} {error.message}")
    except aiosmtplib.SMTPNotSupported as error:
        return Outcome(str(error), is_final=True)
    except aiosmtplib.SMTPResponseException as error:
        return Outcome(f"{error.code} {error.message}", is_final=error.code >= PERMANENT)
    return Outcome()
