"""Mails are kept until the mail server has them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from services.mail.letters import Letter, write_letter
from services.mail.outbox import FIRST_PAUSE, LEASE, LOOK_AGAIN, MailNotSent, enqueue_mail
from services.settings import HOUR, MailTls
from storage.mail import take_mails
from tests.fixtures.certificates import Authority
from tests.fixtures.homeserver import Homeserver, MakeHomeserver
from tests.fixtures.mail import mail_server
from tests.fixtures.time import FakeClock

LETTER = Letter("bob@example.org", "Grüße", "Hello\n", "<p>Hello</p>", {"List-Unsubscribe": "<https://x>"})


def refusals(homeserver: Homeserver) -> list[MailNotSent]:
    """What was told of mails that were not sent."""
    return [one for one in homeserver.observed if isinstance(one, MailNotSent)]


async def until(homeserver: Homeserver, count: int) -> MailNotSent:
    """Returns when so many were not sent; the last of them."""
    async with asyncio.timeout(10):
        while len(refusals(homeserver)) < count or await waiting(homeserver) is None:
            await asyncio.sleep(0.01)
    return refusals(homeserver)[-1]


async def waiting(homeserver: Homeserver) -> int | None:
    """How many mails wait, once none is being sent; None before."""
    async with homeserver.tenant.database.read() as tx:
        rows = await tx.fetch("SELECT due FROM mails")
    now = homeserver.tenant.clock.now()
    return None if any(row["due"] == now + LEASE for row in rows) else len(rows)


async def test_what_arrives(make_homeserver: MakeHomeserver) -> None:
    async with mail_server() as server:
        homeserver = await make_homeserver(mail=server.settings())
        await enqueue_mail(homeserver.tenant, LETTER)
        got = await server.next()
    assert (got.sender, got.recipients) == ("us@one.example", ["bob@example.org"])
    message = got.message
    assert [message["From"], message["To"], message["Subject"]] == [
        "Us <us@one.example>",
        "bob@example.org",
        "Grüße",
    ]
    assert message["Message-ID"].endswith("@one.example>")
    assert (message["List-Unsubscribe"], message["Auto-Submitted"]) == ("<https://x>", "auto-generated")
    assert (got.part("plain"), got.part("html")) == ("Hello\n", "<p>Hello</p>\n")


@pytest.mark.parametrize("tls", list(MailTls))
async def test_the_connection_is_as_secret_as_it_is_to_be(
    make_homeserver: MakeHomeserver, authority: Authority, tls: MailTls
) -> None:
    issued = authority.issue("localhost")
    required: dict[str, Any] = {"auth_required": True, "auth_require_tls": tls is MailTls.STARTTLS}
    async with mail_server(issued, implicit_tls=tls is MailTls.TLS, **required) as server:
        settings = server.settings(tls=tls, ca_file=authority.file, user="us", password="secret")
        homeserver = await make_homeserver(mail=settings)
        await enqueue_mail(homeserver.tenant, LETTER)
        await server.next()
    assert server.logins == [(b"us", b"secret")]
    assert server.encrypted == [tls is not MailTls.NONE]


async def test_a_stranger_is_given_no_mail(make_homeserver: MakeHomeserver, authority: Authority) -> None:
    async with mail_server(authority.issue("elsewhere.example")) as server:
        homeserver = await make_homeserver(
            mail=server.settings(tls=MailTls.STARTTLS, ca_file=authority.file, user="us", password="secret")
        )
        await enqueue_mail(homeserver.tenant, LETTER)
        told = await until(homeserver, 1)
    assert (told.last, server.mails.empty(), server.logins) == (False, True, [])


async def test_nothing_goes_out_in_the_clear_where_tls_is_asked_for(make_homeserver: MakeHomeserver) -> None:
    async with mail_server() as server:
        homeserver = await make_homeserver(mail=server.settings(tls=MailTls.STARTTLS))
        await enqueue_mail(homeserver.tenant, LETTER)
        assert not (await until(homeserver, 1)).last
    assert server.mails.empty()


async def test_what_may_go_better_later_is_tried_again(make_homeserver: MakeHomeserver) -> None:
    clock = FakeClock()
    async with mail_server() as server:
        server.refusals += ["450 later", "421 not now"]
        homeserver = await make_homeserver(mail=server.settings(), clock=clock)
        await enqueue_mail(homeserver.tenant, LETTER)
        for count in (1, 2):
            assert not (await until(homeserver, count)).last
            assert server.mails.empty()
            clock.advance(FIRST_PAUSE * 2 ** (count - 1))
        await server.next()
    assert len(refusals(homeserver)) == 2


async def test_what_is_refused_for_good_is_not(make_homeserver: MakeHomeserver) -> None:
    async with mail_server() as server:
        server.refusals.append("550 nobody of that name")
        homeserver = await make_homeserver(mail=server.settings())
        await enqueue_mail(homeserver.tenant, LETTER)
        assert (await until(homeserver, 1)).last
        async with asyncio.timeout(10):
            while await waiting(homeserver) != 0:
                await asyncio.sleep(0.01)


async def test_what_is_worth_nothing_any_more_is_forgotten(make_homeserver: MakeHomeserver) -> None:
    clock = FakeClock()
    homeserver = await make_homeserver(mail=(await _nobody()), clock=clock)
    await enqueue_mail(homeserver.tenant, LETTER, lifetime=2 * FIRST_PAUSE)
    assert not (await until(homeserver, 1)).last
    clock.advance(FIRST_PAUSE)
    async with asyncio.timeout(10):
        while await waiting(homeserver) != 0:
            await asyncio.sleep(0.01)
    assert refusals(homeserver)[-1].last


async def _nobody() -> Any:
    async with mail_server() as server:
        return server.settings()


async def test_a_mail_waits_for_the_next_process(make_homeserver: MakeHomeserver) -> None:
    clock = FakeClock()
    without = await make_homeserver(clock=clock)
    await enqueue_mail(without.tenant, LETTER)
    async with mail_server() as server:
        with_mail = await make_homeserver(mail=server.settings(), clock=clock)
        async with without.tenant.database.read() as tx:
            row = await tx.fetchrow("SELECT due, expires, recipient, message FROM mails")
        assert row is not None
        async with with_mail.tenant.database.read() as tx:
            await tx.execute(
                "INSERT INTO mails (due, expires, recipient, message) VALUES ($1, $2, $3, $4)", *row
            )
        clock.advance(LOOK_AGAIN)
        assert (await server.next()).recipients == ["bob@example.org"]


async def test_two_processes_take_different_mails(homeserver: Homeserver) -> None:
    tenant = homeserver.tenant
    for _ in range(4):
        await enqueue_mail(tenant, LETTER)
    now = tenant.clock.now() + HOUR
    async with tenant.database.transaction() as one, tenant.database.transaction() as two:
        first = {mail.number for mail in await take_mails(one, now, now + LEASE, 3)}
        second = {mail.number for mail in await take_mails(two, now, now + LEASE, 3)}
    assert (len(first), len(second), first & second) == (3, 1, set())


async def test_values_are_escaped_in_html_only(homeserver: Homeserver) -> None:
    letter = write_letter(homeserver.tenant, "add", "bob@example.org", {"link": "https://x/?a=1&b=<b>"})
    assert "https://x/?a=1&b=<b>" in letter.text
    assert "https://x/?a=1&amp;b=&lt;b&gt;" in letter.html
    assert "<b>" not in letter.html
    assert letter.subject == "Confirm your address for one.example"


async def test_no_header_can_be_slipped_in(homeserver: Homeserver) -> None:
    with pytest.raises(ValueError, match="linefeed"):
        await enqueue_mail(homeserver.tenant, Letter("bob@example.org", "x\r\nBcc: eve@example.org", "", ""))
