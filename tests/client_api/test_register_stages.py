"""Making an account with an e-mail address, a captcha and terms; the pages for clients that do not know a stage."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from html import unescape
from typing import Any

import pytest

from services.settings import (
    Contact,
    EmailAtRegistration,
    Passwords,
    Registration,
    RegistrationMode,
    WellKnown,
)
from tests.client_api.captcha import asks_riddles, captcha_of
from tests.client_api.email import ADDRESS, asks, follows, shows
from tests.fixtures.certificates import Authority
from tests.fixtures.client import Client
from tests.fixtures.federation import MakeLying, federation_settings
from tests.fixtures.homeserver import CHEAP, PASSWORD, Homeserver, MakeHomeserver
from tests.fixtures.lying_server import LyingServer
from tests.fixtures.mail import MailServer, mail_server

BODY = {"username": "alice", "password": PASSWORD}
DUMMY, EMAIL, CAPTCHA = "m.login.dummy", "m.login.email.identity", "m.login.recaptcha"


@pytest.fixture
async def mails() -> AsyncIterator[MailServer]:
    """A mail server."""
    async with mail_server() as server:
        yield server


def registration(email: EmailAtRegistration = EmailAtRegistration.NONE, **more: Any) -> Registration:
    return Registration(RegistrationMode.OPEN, email=email, **more)


async def register(client: Client, session: str = "", kind: str = "", **auth: Any) -> tuple[int, Any]:
    """One step of making @alice."""
    said = ({"session": session} if session else {}) | ({"type": kind} if kind else {}) | auth
    return await client.post("register", BODY | ({"auth": said} if said else {}))


async def addresses(homeserver: Homeserver, said: Any) -> list[str]:
    """Of the account that was made."""
    client = Client(homeserver.session, homeserver.url, said["user_id"], access_token=said["access_token"])
    return [one["address"] for one in (await client.ok("GET", "account/3pid"))["threepids"]]


async def test_with_an_address_or_without(make_homeserver: MakeHomeserver, mails: MailServer) -> None:
    optional = registration(EmailAtRegistration.OPTIONAL)
    homeserver = await make_homeserver(mail=mails.settings(), registration=optional)
    nobody = homeserver.nobody()
    _, said = await register(nobody)
    assert said["flows"] == [{"stages": [DUMMY]}, {"stages": [EMAIL]}]
    shown = await shows(nobody, mails, "register")
    status, said = await register(nobody, said["session"], EMAIL, threepid_creds=shown)
    assert (status, said["user_id"]) == (200, "@alice:one.example")
    assert await addresses(homeserver, said) == [ADDRESS]
    bob = await homeserver.user("bob")
    assert (await bob.ok("GET", "account/3pid"))["threepids"] == []


async def test_the_steps_can_be_taken_at_different_processes(
    make_homeserver: MakeHomeserver, mails: MailServer
) -> None:
    required = registration(EmailAtRegistration.REQUIRED, terms={"Rules": "https://one.example/rules"})
    one = await make_homeserver(mail=mails.settings(), registration=required)
    two = await make_homeserver(beside=one)
    _, said = await register(one.nobody())
    assert said["flows"] == [{"stages": ["m.login.terms", EMAIL]}]
    session = said["session"]
    status, asked = await asks(one.nobody(), "register")
    assert status == 200
    link = (await mails.next()).link
    credentials = {"sid": asked["sid"], "client_secret": "monkeys_are_GREAT"}
    status, said = await register(two.nobody(), session, EMAIL, threepid_creds=credentials)
    assert (status, said["errcode"], said["completed"]) == (401, "M_THREEPID_AUTH_FAILED", [])
    await follows(two.nobody(), link)
    status, said = await register(one.nobody(), session, EMAIL, threepidCreds=credentials)
    assert (status, said["completed"]) == (401, [EMAIL])
    status, said = await register(two.nobody(), session, "m.login.terms")
    assert status == 200
    assert await addresses(two, said) == [ADDRESS]


async def test_one_address_makes_one_account(make_homeserver: MakeHomeserver, mails: MailServer) -> None:
    required = registration(EmailAtRegistration.REQUIRED)
    homeserver = await make_homeserver(mail=mails.settings(), registration=required)
    nobody = homeserver.nobody()
    shown = await shows(nobody, mails, "register")
    auth = {"type": EMAIL, "threepid_creds": shown}
    assert (await nobody.post("register", BODY | {"auth": auth}))[0] == 200
    status, said = await nobody.post("register", BODY | {"username": "bob", "auth": auth})
    assert (status, said["errcode"]) == (401, "M_THREEPID_AUTH_FAILED")
    status, said = await asks(nobody, "register")
    assert (status, said["errcode"]) == (400, "M_THREEPID_IN_USE")


@pytest.mark.parametrize(
    ("more", "errcode"),
    [
        ({}, "M_MISSING_PARAM"),
        ({"threepid_creds": "x"}, "M_BAD_JSON"),
        ({"threepid_creds": {"sid": 1, "client_secret": "x"}}, "M_BAD_JSON"),
        ({"threepid_creds": {"sid": "x", "client_secret": "a b"}}, "M_INVALID_PARAM"),
        ({"threepid_creds": {"sid": "x\0", "client_secret": "x"}}, "M_THREEPID_AUTH_FAILED"),
    ],
)
async def test_what_shows_no_address(
    make_homeserver: MakeHomeserver, mails: MailServer, more: Any, errcode: str
) -> None:
    required = registration(EmailAtRegistration.REQUIRED)
    homeserver = await make_homeserver(mail=mails.settings(), registration=required)
    status, said = await register(homeserver.nobody(), kind=EMAIL, **more)
    assert (status, said["errcode"]) == (401, errcode)


# -- a captcha


@pytest.fixture
async def provider(make_lying: MakeLying) -> LyingServer:
    """Of captchas."""
    return asks_riddles(await make_lying())


async def with_captcha(make: MakeHomeserver, authority: Authority, provider: LyingServer) -> Homeserver:
    asked = registration(captcha=captcha_of(provider))
    return await make(registration=asked, federation=federation_settings(authority, enabled=False))


async def test_a_captcha(
    make_homeserver: MakeHomeserver, authority: Authority, provider: LyingServer
) -> None:
    homeserver = await with_captcha(make_homeserver, authority, provider)
    nobody = homeserver.nobody()
    _, said = await register(nobody)
    assert (said["flows"], said["params"]) == ([{"stages": [CAPTCHA]}], {CAPTCHA: {"public_key": "<site>"}})
    session = said["session"]
    for response, errcode in (
        ("wrong", "M_CAPTCHA_INVALID"),
        ("", "M_CAPTCHA_NEEDED"),
        (None, "M_MISSING_PARAM"),
    ):
        status, said = await register(nobody, session, CAPTCHA, response=response)
        assert (status, said["errcode"]) == (401, errcode)
    assert (await register(nobody, session, CAPTCHA, response="right"))[0] == 200


async def test_a_captcha_in_the_browser(
    make_homeserver: MakeHomeserver, authority: Authority, provider: LyingServer
) -> None:
    homeserver = await with_captcha(make_homeserver, authority, provider)
    nobody = homeserver.nobody()
    session = (await register(nobody))[1]["session"]
    page = f"auth/{CAPTCHA}/fallback/web?session={session}"
    _, shown = await nobody.get(page)
    assert b'class="h-captcha" data-sitekey="&lt;site&gt;"' in shown
    assert (await nobody.request("POST", page, data={"h-captcha-response": "wrong"}))[0] == 400
    status, shown = await nobody.request("POST", page, data={"h-captcha-response": "right"})
    assert (status, b"onAuthDone" in shown) == (200, True)
    assert (await register(nobody, session))[0] == 200


async def test_a_provider_that_is_ill(
    make_homeserver: MakeHomeserver, authority: Authority, provider: LyingServer
) -> None:
    homeserver = await with_captcha(make_homeserver, authority, provider)
    provider.on("POST", "/siteverify", lambda _: (503, {"success": "maybe"}))
    status, said = await register(homeserver.nobody(), kind=CAPTCHA, response="right")
    assert (status, said["errcode"]) == (401, "M_CAPTCHA_INVALID")
    await provider.__aexit__()
    status, said = await register(homeserver.nobody(), kind=CAPTCHA, response="right")
    assert (status, said["errcode"]) == (502, "M_UNKNOWN")
    await provider.__aenter__()


# -- pages


def hidden(page: bytes) -> dict[str, str]:
    """The hidden fields of the page's form."""
    found = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page.decode())
    return {name: unescape(value) for name, value in found}


async def test_an_address_is_shown_in_the_browser(make_homeserver: MakeHomeserver, mails: MailServer) -> None:
    required = registration(EmailAtRegistration.REQUIRED)
    homeserver = await make_homeserver(mail=mails.settings(), registration=required)
    nobody = homeserver.nobody()
    session = (await register(nobody))[1]["session"]
    page = f"auth/{EMAIL}/fallback/web?session={session}"
    assert b'name="email"' in (await nobody.get(page))[1]
    status, shown = await nobody.request("POST", page, data={"email": "<b>"})
    assert (status, b'name="email"' in shown) == (400, True)
    status, shown = await nobody.request("POST", page, data={"email": ADDRESS})
    form = hidden(shown)
    assert (status, set(form)) == (200, {"sid", "client_secret"})
    status, shown = await nobody.request("POST", page, data=form)
    assert (status, hidden(shown)) == (400, form)
    await follows(nobody, (await mails.next()).link)
    status, shown = await nobody.request("POST", page, data=form)
    assert (status, b"onAuthDone" in shown) == (200, True)
    assert b"onAuthDone" in (await nobody.get(page))[1]
    status, said = await register(nobody, session)
    assert status == 200
    assert await addresses(homeserver, said) == [ADDRESS]


async def test_a_password_is_given_in_the_browser(alice: Client) -> None:
    _, said = await alice.request("POST", "delete_devices", json={"devices": ["none"]})
    session = said["session"]
    page = f"auth/m.login.password/fallback/web?session={session}"
    assert b"@alice:one.example" in (await alice.get(page))[1]
    assert (await alice.request("POST", page, data={"password": "wrong"}))[0] == 403
    assert (await alice.request("POST", page, data={"password": PASSWORD}))[0] == 200
    body = {"devices": ["none"], "auth": {"session": session}}
    assert (await alice.post("delete_devices", body))[0] == 200


async def test_nothing_is_asked_in_the_browser(homeserver: Homeserver) -> None:
    nobody = homeserver.nobody()
    session = (await register(nobody))[1]["session"]
    page = f"auth/{DUMMY}/fallback/web?session={session}"
    assert (await nobody.get(page))[0] == 200
    assert (await nobody.request("POST", page, data={}))[0] == 200
    assert (await register(nobody, session))[0] == 200
    assert (await nobody.get(f"auth/m.login.unknown/fallback/web?session={session}"))[0] == 404


# -- passwords, and whom to turn to


async def test_what_a_password_must_be_like(make_homeserver: MakeHomeserver) -> None:
    everything = Passwords(CHEAP.time_cost, CHEAP.memory_kib, 1, 6, True, True, True, True)
    homeserver = await make_homeserver(passwords=everything)
    nobody = homeserver.nobody()
    assert await nobody.get("password_policy") == (
        200,
        {
            "m.minimum_length": 6,
            "m.require_digit": True,
            "m.require_lowercase": True,
            "m.require_uppercase": True,
            "m.require_symbol": True,
        },
    )
    for password in ("aB1-", "abcABC-", "ABC123-", "abc123-", "abcABC123"):
        status, said = await nobody.post("register", BODY | {"password": password})
        assert (status, said["errcode"]) == (400, "M_WEAK_PASSWORD")
    assert (await nobody.post("register", BODY | {"password": "abAB12-"}))[0] == 401


async def test_usually_only_the_length_counts(homeserver: Homeserver) -> None:
    assert await homeserver.nobody().get("password_policy") == (200, {"m.minimum_length": 8})


async def test_whom_to_turn_to(make_homeserver: MakeHomeserver) -> None:
    contacts = (
        Contact("m.role.admin", "@admin:one.example"),
        Contact("m.role.security", None, "s@one.example"),
    )
    homeserver = await make_homeserver(well_known=WellKnown(contacts, "https://one.example/help", "a key"))
    assert await homeserver.nobody().get("/.well-known/matrix/support") == (
        200,
        {
            "contacts": [
                {"role": "m.role.admin", "matrix_id": "@admin:one.example"},
                {"role": "m.role.security", "email_address": "s@one.example"},
            ],
            "support_page": "https://one.example/help",
        },
    )
    policy = await homeserver.nobody().get("/.well-known/matrix/policy_server")
    assert policy == (200, {"public_keys": {"ed25519": "a key"}})


@pytest.mark.parametrize("what", ["support", "policy_server"])
async def test_where_nobody_is_named(homeserver: Homeserver, what: str) -> None:
    status, said = await homeserver.nobody().get(f"/.well-known/matrix/{what}")
    assert (status, said["errcode"]) == (404, "M_NOT_FOUND")
