"""E-mail addresses on the pages: an account made with one, and signing in by it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from services.settings import MINUTE, EmailAtRegistration, Registration, RegistrationMode
from tests.client_api.email import follows
from tests.fixtures.homeserver import PASSWORD, Homeserver, MakeHomeserver
from tests.fixtures.mail import MailServer, mail_server
from tests.fixtures.time import FakeClock
from tests.oauth.browser import Browser, Page
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


# -- the account page, and a forgotten password


@pytest.fixture
async def theirs(make_homeserver: MakeHomeserver, mails: MailServer) -> Homeserver:
    """A homeserver where accounts need no address."""
    return await make_homeserver(mail=mails.settings())


async def signed_in(homeserver: Homeserver, name: str = "alice") -> Browser:
    browser = Browser(homeserver)
    await browser.visit("account")
    assert (await browser.log_in(name, PASSWORD)).name == "account"
    return browser


async def adds(browser: Browser, mails: MailServer, address: str = ADDRESS) -> Page:
    """On the account page, with the link in the mail."""
    await browser.visit("account?action=emails")
    page = await browser.submit(len(browser.page.forms) - 1 if browser.page else 0, email=address)
    assert (page.status, address in page.text) == (200, True)
    await follows(browser.homeserver.nobody(), (await mails.next()).link)
    return await browser.submit()


async def test_a_user_adds_and_removes_an_address(theirs: Homeserver, mails: MailServer) -> None:
    alice = await theirs.user("alice")
    browser = await signed_in(theirs)
    assert "account?action=emails" in (await browser.visit("account")).links
    page = await browser.visit("account?action=emails")
    page = await browser.submit(email="no address")
    assert (page.status, page.name) == (400, "account")
    page = await browser.submit(email=ADDRESS)
    assert (await browser.submit()).status == 400  # the link was not followed yet
    await follows(theirs.nobody(), (await mails.next()).link)
    page = await browser.submit()
    assert (page.status, ADDRESS in page.text) == (200, True)
    known = (await alice.ok("GET", "account/3pid"))["threepids"]
    assert [(one["medium"], one["address"]) for one in known] == [("email", ADDRESS)]
    assert ADDRESS not in (await adds(browser, mails, "other@example.org")).forms[1].fields["email"]
    page = await browser.visit("account?action=emails")
    page = await browser.submit()
    assert (ADDRESS in page.text, "other@example.org" in page.text) == (False, True)
    known = (await alice.ok("GET", "account/3pid"))["threepids"]
    assert [one["address"] for one in known] == ["other@example.org"]


async def test_an_address_of_somebody_else_stays_theirs(theirs: Homeserver, mails: MailServer) -> None:
    await theirs.user("alice")
    bob = await theirs.user("bob")
    await adds(await signed_in(theirs), mails)
    browser = await signed_in(theirs, "bob")
    await browser.visit("account?action=emails")
    assert (await browser.submit(email=ADDRESS)).status == 400
    page = await browser.visit("account?action=emails")
    token = page.forms[0].fields["form_token"]
    taken = {"change": "delete_email", "email": ADDRESS, "form_token": token}
    await browser.post("account", taken)
    for shown in ({}, {"sid": "x", "client_secret": "y"}, {"sid": "\0", "client_secret": "%"}):
        page = await browser.post("account", {"change": "confirm_email", "form_token": token} | shown)
        assert page.status == 400
    assert (await bob.ok("GET", "account/3pid"))["threepids"] == []
    assert ADDRESS in (await (await signed_in(theirs)).visit("account?action=emails")).text


async def test_addresses_want_a_fresh_proof(make_homeserver: MakeHomeserver, mails: MailServer) -> None:
    clock = FakeClock()
    homeserver = await make_homeserver(mail=mails.settings(), clock=clock)
    await homeserver.user("alice")
    browser = await signed_in(homeserver)
    await browser.visit("account?action=emails")
    await browser.submit(email=ADDRESS)
    clock.advance(11 * MINUTE)
    await follows(homeserver.nobody(), (await mails.next()).link)
    assert (await browser.submit()).name == "login"
    page = await browser.log_in("alice", PASSWORD)  # comes back to where it was
    assert (page.status, ADDRESS in page.text, page.forms[0].fields["change"]) == (200, True, "confirm_email")
    assert ADDRESS in (await browser.submit()).text
    clock.advance(11 * MINUTE)
    assert (await browser.submit()).name == "login"
    assert (await browser.visit("account?action=emails")).name == "login"


async def test_a_forgotten_password(theirs: Homeserver, mails: MailServer) -> None:
    alice = await theirs.user("alice")
    await adds(await signed_in(theirs), mails)
    client, browser = await registered(theirs), Browser(theirs)
    page = await browser.visit(f"authorize?{client.query()}")
    await browser.visit(next(link for link in page.links if link.startswith("recovery")))
    assert (await browser.submit(email="no address")).status == 400
    assert (await browser.submit(email="nobody@example.org")).status == 400
    page = await browser.submit(email=ADDRESS.upper())
    new = {"new": "another battery staple", "again": "another battery staple"}
    assert (await browser.submit(**new)).status == 400  # the link was not followed yet
    shown = dict(browser.page.forms[0].fields) if browser.page else {}
    await follows(theirs.nobody(), (await mails.next()).link)
    assert (await browser.submit(**(new | {"again": "x"}))).status == 400
    assert (await browser.submit(new="short", again="short")).status == 400
    page = await browser.submit(**new, logout_devices="yes")
    assert (page.name, page.status) == ("authorize", 200)
    assert (await client.log_in(browser))["access_token"]
    assert (await alice.get("account/whoami"))[0] == 401
    # Good for once, and the old password for nothing.
    form = shown | new | {"form_token": (await browser.visit("recovery")).forms[0].fields["form_token"]}
    assert (await browser.post("recovery_password", form)).status == 400
    other = Browser(theirs)
    await other.visit("account")
    assert (await other.log_in(ADDRESS, PASSWORD)).status == 403
    assert (await other.log_in(ADDRESS, new["new"])).status == 200


async def test_devices_may_stay_and_what_was_shown_for_one_thing_is_not_good_for_another(
    theirs: Homeserver, mails: MailServer
) -> None:
    alice = await theirs.user("alice")
    await adds(await signed_in(theirs), mails)
    browser = Browser(theirs)
    await browser.visit("recovery")
    page = await browser.submit(email=ADDRESS)
    await follows(theirs.nobody(), (await mails.next()).link)
    shown = {name: page.forms[0].fields[name] for name in ("sid", "client_secret")}
    token = page.forms[0].fields["form_token"]
    other = await signed_in(theirs)
    sealed = (await other.visit("account?action=emails")).forms[0].fields["form_token"]
    said = shown | {"change": "confirm_email", "form_token": sealed}
    assert (await other.post("account", said)).status == 400
    new = {"new": "another battery staple", "again": "another battery staple", "form_token": token}
    assert (await browser.post("recovery_password", shown | new)).status == 200
    assert (await alice.get("account/whoami"))[0] == 200
    assert (await other.visit("account")).name == "login"


async def test_without_mail_nothing_is_offered(
    homeserver: Homeserver, make_homeserver: MakeHomeserver
) -> None:
    other = await make_homeserver(name="two.example")
    await other.user("alice")
    browser = Browser(other)
    page = await browser.visit("account")
    assert not any(link.startswith("recovery") for link in page.links)
    await browser.log_in("alice", PASSWORD)
    page = await browser.visit("account")
    assert not any("emails" in link for link in page.links)
    await browser.visit("account?action=emails")
    assert browser.page is not None
    assert browser.page.forms == []
    await browser.visit("recovery")
    assert (await browser.submit(email=ADDRESS)).status == 400
