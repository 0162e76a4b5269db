"""E-mail addresses on the pages: an account made with one, and signing in by it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from services.settings import EmailAtRegistration, Registration, RegistrationMode
from tests.client_api.email import follows
from tests.fixtures.homeserver import PASSWORD, Homeserver, MakeHomeserver
from tests.fixtures.mail import MailServer, mail_server
from tests.oauth.browser import Browser
from tests.oauth.client import registered

ACCOUNT = {"name": "carol", "password": PASSWORD, "again": PASSWORD}
ADDRESS = "carol@example.org"


@pytest.fixture
async def mails() -> AsyncIterator[MailServer]:
    async with mail_server() as server:
        yield server


@pytest.fixture
async def homeserver(make_homeserver: MakeHomeserver, mails: MailServer) -> Homeserver:
    registration = Registration(RegistrationMode.OPEN, email=EmailAtRegistration.REQUIRED)
    return await make_homeserver(mail=mails.settings(), registration=registration)


async def test_an_account_is_made_with_an_address(homeserver: Homeserver, mails: MailServer) -> None:
    client, browser = await registered(homeserver), Browser(homeserver)
    page = await browser.visit(f"authorize?{client.query(prompt='create', login_hint='carol')}")
    assert page.name == "registration"
    page = await browser.submit(email=ADDRESS)
    assert ADDRESS in page.text
    assert page.forms[0].fields["name"] == "carol"
    page = await browser.submit(**ACCOUNT)  # the link was not followed yet
    assert page.status == 400
    assert page.forms[0].fields["sid"]
    await follows(homeserver.nobody(), (await mails.next()).link)
    page = await browser.submit(**ACCOUNT)
    assert (page.name, page.status) == ("authorize", 200)
    tokens = await client.log_in(browser)
    known = await client.matrix(tokens).ok("GET", "account/3pid")
    assert [threepid["address"] for threepid in known["threepids"]] == [ADDRESS]
    other = Browser(homeserver)
    await other.visit("account")
    assert "@carol:one.example" in (await other.log_in(ADDRESS, PASSWORD)).text
    await other.visit("login?again=")
    assert (await other.log_in("nobody@example.org", PASSWORD)).status == 403


async def test_nobody_gets_around_the_address(homeserver: Homeserver) -> None:
    browser = Browser(homeserver)
    page = await browser.visit("registration")
    page = await browser.submit(email="no address")
    assert (page.status, page.name) == (400, "registration_email")
    token = page.forms[0].fields["form_token"]
    for more in ({}, {"sid": "x", "client_secret": "y", "email": ADDRESS}, {"sid": "", "client_secret": "%"}):
        page = await browser.post("registration", ACCOUNT | more | {"form_token": token})
        assert page.status == 400
    assert (await homeserver.nobody().get("register/available?username=carol"))[0] == 200
