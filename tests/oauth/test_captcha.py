"""Making an account on the pages where a captcha is demanded, alone or with terms, tokens and an e-mail address."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from services.settings import MINUTE, EmailAtRegistration, Registration, RegistrationMode
from tests.client_api.captcha import FIELD, asks_riddles, captcha_of
from tests.client_api.email import follows
from tests.fixtures.certificates import Authority
from tests.fixtures.federation import MakeLying, federation_settings
from tests.fixtures.homeserver import PASSWORD, Homeserver, MakeHomeserver
from tests.fixtures.lying_server import LyingServer
from tests.fixtures.mail import MailServer, mail_server
from tests.fixtures.time import FakeClock
from tests.oauth.browser import Browser
from tests.oauth.client import registered

ACCOUNT = {"name": "carol", "password": PASSWORD, "again": PASSWORD}
SOLVED, WRONG = {FIELD: "right"}, {FIELD: "wrong"}


@pytest.fixture
async def mails() -> AsyncIterator[MailServer]:
    async with mail_server() as server:
        yield server


@pytest.fixture
async def provider(make_lying: MakeLying) -> LyingServer:
    return asks_riddles(await make_lying())


@pytest.fixture
def with_captcha(make_homeserver: MakeHomeserver, authority: Authority, provider: LyingServer) -> Any:
    async def make(registration: dict[str, Any] | None = None, **more: Any) -> Homeserver:
        asked = {"mode": RegistrationMode.OPEN, "captcha": captcha_of(provider)} | (registration or {})
        federation = federation_settings(authority, enabled=False)
        return await make_homeserver(registration=Registration(**asked), federation=federation, **more)

    return make


async def test_an_account_is_made_with_a_captcha(with_captcha: Any, provider: LyingServer) -> None:
    homeserver = await with_captcha()
    client, browser = await registered(homeserver), Browser(homeserver)
    page = await browser.visit(f"authorize?{client.query(prompt='create', login_hint='carol')}")
    assert f'src="https://localhost:{provider.port}/api.js"' in page.html
    assert 'class="h-captcha" data-sitekey="&lt;site&gt;"' in page.html
    policy = page.headers["Content-Security-Policy"]
    assert "script-src 'unsafe-inline' https:" in policy
    assert "frame-ancestors 'none'" in policy
    # What others' scripts could read is not asked for here.
    assert 'type="password"' not in page.html
    page = await browser.submit(**WRONG)
    assert (page.status, page.name) == (400, "registration_captcha")
    page = await browser.submit()
    assert (page.status, page.name) == (401, "registration_captcha")
    page = await browser.submit(**SOLVED)
    assert (page.status, page.forms[0].fields["name"]) == (200, "carol")
    assert "<script" not in page.html
    assert "script-src" not in page.headers["Content-Security-Policy"]
    page = await browser.submit(**(ACCOUNT | {"again": "other"}))
    assert (page.status, "h-captcha" in page.html) == (400, False)
    page = await browser.submit(**ACCOUNT)
    assert (page.name, page.status) == ("authorize", 200)
    assert (await client.log_in(browser))["access_token"]


async def test_nobody_gets_around_the_captcha(with_captcha: Any) -> None:
    clock = FakeClock()
    homeserver = await with_captcha(clock=clock)
    browser = Browser(homeserver)
    page = await browser.visit("registration")
    token = page.forms[0].fields["form_token"]
    _, said = await homeserver.nobody().post("register", {"username": "carol", "password": PASSWORD})
    of_a_client = said["session"]
    page_of_stage = f"auth/m.login.recaptcha/fallback/web?session={of_a_client}"
    assert (await homeserver.nobody().request("POST", page_of_stage, data=SOLVED))[0] == 200
    for proof in ({}, {"human": ""}, {"human": "x"}, {"human": "%"}, {"human": of_a_client}):
        page = await browser.post("registration", ACCOUNT | proof | {"form_token": token})
        assert (page.status, "h-captcha" in page.html) == (401, True), proof
    page = await browser.submit(**SOLVED)
    proof = {"human": page.forms[0].fields["human"]}
    clock.advance(20 * MINUTE)
    page = await browser.submit(**ACCOUNT)
    assert (page.status, "h-captcha" in page.html) == (401, True)
    page = await browser.submit(**SOLVED)
    proof = {"human": page.forms[0].fields["human"]}
    assert (await browser.submit(**ACCOUNT)).name == "account"
    page = await browser.post("registration", ACCOUNT | {"name": "dora", "form_token": token} | proof)
    assert page.status in (400, 401)
    assert (await homeserver.nobody().get("register/available?username=dora"))[0] == 200


async def test_a_captcha_comes_before_everything_else(with_captcha: Any, mails: MailServer) -> None:
    homeserver = await with_captcha(
        {
            "mode": RegistrationMode.TOKEN,
            "tokens": frozenset({"open sesame"}),
            "terms": {"Rules": "https://one.example/rules"},
            "email": EmailAtRegistration.REQUIRED,
        },
        mail=mails.settings(),
    )
    browser = Browser(homeserver)
    page = await browser.visit("registration")
    token = page.forms[0].fields["form_token"]
    # No mail without it.
    page = await browser.post("registration_email", {"email": "carol@example.org", "form_token": token})
    assert (page.status, "h-captcha" in page.html) == (401, True)
    page = await browser.submit(**SOLVED)
    assert "email" in page.forms[0].fields
    page = await browser.submit(email="no address")
    assert (page.status, "email" in page.forms[0].fields) == (400, True)
    page = await browser.submit(email="carol@example.org")
    await follows(homeserver.nobody(), (await mails.next()).link)
    assert (await browser.submit(**ACCOUNT, agreed="yes", token="wrong")).status == 403
    assert (await browser.submit(**ACCOUNT, token="open sesame")).status == 400
    page = await browser.submit(**ACCOUNT, agreed="yes", token="open sesame")
    assert (page.status, page.name) == (200, "account")
    assert "@carol:one.example" in page.text


async def test_a_provider_that_does_not_answer_is_told_on_the_page(
    with_captcha: Any, provider: LyingServer
) -> None:
    homeserver = await with_captcha()
    browser = Browser(homeserver)
    await browser.visit("registration")
    await provider.__aexit__()
    page = await browser.submit(**SOLVED)
    assert (page.status, "h-captcha" in page.html) == (502, True)
    await provider.__aenter__()
