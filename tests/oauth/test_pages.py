"""What all pages have in common, and making an account on one."""

from __future__ import annotations

import pytest

from client_api.oauth_server_metadata import ACTIONS, UNSTABLE
from services.settings import RateLimit, RateLimits, Registration, RegistrationMode
from tests.fixtures.client import Client
from tests.fixtures.homeserver import PASSWORD, Homeserver, MakeHomeserver
from tests.oauth.browser import Browser
from tests.oauth.client import registered


async def test_the_metadata_names_what_there_is(homeserver: Homeserver) -> None:
    said = await homeserver.nobody().ok("GET", "/_matrix/client/v1/auth_metadata")
    assert said["issuer"] == "https://one.example/"
    for name in ("authorization", "token", "revocation", "registration", "device_authorization"):
        assert said[f"{name}_endpoint"].startswith("https://one.example/_matrix/client/")
    old = await homeserver.nobody().ok("GET", f"{UNSTABLE}/auth_metadata")
    assert set(old["account_management_actions_supported"]) > set(ACTIONS)
    assert old == await homeserver.nobody().ok("GET", "/.well-known/openid-configuration")
    assert await homeserver.nobody().ok("GET", f"{UNSTABLE}/auth_issuer") == {"issuer": said["issuer"]}


@pytest.mark.parametrize("name", ["login", "registration", "authorize", "link", "account?action=password"])
async def test_a_page_is_in_nobodys_frame_and_has_nothing_from_elsewhere(
    homeserver: Homeserver, alice: Client, name: str
) -> None:
    browser = Browser(homeserver)
    if name not in ("login", "registration"):
        await browser.visit("account")
        await browser.log_in("alice", PASSWORD)
    if name == "authorize":
        name = f"authorize?{(await registered(homeserver)).query()}"
    page = await browser.visit(name)
    assert page.status == 200
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert (page.headers["X-Frame-Options"], page.headers["Cache-Control"]) == ("DENY", "no-store")
    assert "<script" not in page.html
    assert 'name="viewport"' in page.html
    assert all(form.method == "get" or "form_token" in form.fields for form in page.forms)


async def test_a_form_may_lead_to_the_client_that_is_asked_about(
    homeserver: Homeserver, alice: Client
) -> None:
    for more, source in [
        ({}, "https://chat.example"),
        ({"application_type": "native", "redirect_uris": ["example.chat:/"]}, "example.chat:"),
        ({"application_type": "native", "redirect_uris": ["http://localhost/x"]}, "http://localhost:*"),
        ({"application_type": "native", "redirect_uris": ["http://[::1]/x"]}, "http:"),
    ]:
        client, browser = await registered(homeserver, **more), Browser(homeserver)
        await browser.visit(f"authorize?{client.query()}")
        page = await browser.log_in("alice", PASSWORD)
        assert page.headers["Content-Security-Policy"].endswith(f"form-action 'self' {source}")


async def test_what_strangers_say_is_escaped(homeserver: Homeserver, alice: Client) -> None:
    client, browser = await registered(homeserver), Browser(homeserver)
    query = client.query(login_hint='"><b>x')
    page = await browser.visit(f"authorize?{query}")
    assert page.forms[0].fields["name"] == '"><b>x'
    page = await browser.log_in("alice", PASSWORD)
    assert "Tea <b>Chat</b>" in page.text
    assert "<b>" not in page.html
    page = await browser.submit(name='"><b>', answer="allow", form_token="<b>")
    assert "<b>" not in page.html


async def test_cookies_are_for_this_server_and_no_script(homeserver: Homeserver, alice: Client) -> None:
    browser = Browser(homeserver)
    page = await browser.visit("login")
    cookie = page.headers["Set-Cookie"]
    assert cookie.startswith("__Host-hearth=")
    for part in ("Secure", "HttpOnly", "SameSite=Lax", "Path=/"):
        assert part in cookie
    before = dict(browser.cookies)
    await browser.log_in("alice", PASSWORD)
    assert browser.cookies != before  # who knew the cookie before is not signed in now


async def test_a_trial_without_tls_has_cookies_too(make_homeserver: MakeHomeserver) -> None:
    homeserver = await make_homeserver(public_base_url="http://localhost:8008")
    await homeserver.user("alice")
    browser = Browser(homeserver)
    page = await browser.visit("login")
    assert "Secure" not in page.headers["Set-Cookie"]
    assert (await browser.log_in("alice", PASSWORD)).name == "account"


async def test_a_wrong_password_is_said_on_the_page(homeserver: Homeserver, alice: Client) -> None:
    browser = Browser(homeserver)
    await browser.visit("login")
    for name, password in (("alice", "wrong"), ("nobody", PASSWORD), ("", "")):
        page = await browser.submit(name=name, password=password)
        assert (page.name, page.status) == ("login", 403)
        assert "Wrong user name or password" in page.text


async def test_passwords_cannot_be_tried_at_will(make_homeserver: MakeHomeserver) -> None:
    limits = RateLimits(True, {"login": RateLimit(0.001, 3), "registration": RateLimit(1, 100)})
    homeserver = await make_homeserver(rate_limits=limits)
    browser = Browser(homeserver)
    await browser.visit("login")
    for _ in range(3):
        assert (await browser.submit(name="alice", password="wrong")).status == 403
        await browser.visit("login")
    assert (await browser.submit(name="alice", password="wrong")).status == 429


async def test_a_form_wants_a_cookie(homeserver: Homeserver, alice: Client) -> None:
    browser = Browser(homeserver)
    await browser.visit("login")
    browser.cookies.clear()
    assert (await browser.submit(name="alice", password=PASSWORD)).status == 400


async def test_a_new_person_makes_an_account_on_the_way(homeserver: Homeserver) -> None:
    client, browser = await registered(homeserver), Browser(homeserver)
    page = await browser.visit(f"authorize?{client.query(prompt='create')}")
    assert page.name == "registration"
    page = await browser.submit(name="Carol", password=PASSWORD, again=PASSWORD)
    assert page.name == "authorize"
    assert "@carol:one.example" in page.text
    answer = client.answered(await browser.submit(answer="allow"))
    status, tokens = await client.exchange(answer["code"])
    assert status == 200
    assert (await client.matrix(tokens).ok("GET", "account/whoami"))["user_id"] == "@carol:one.example"


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"name": "alice"}, 400),
        ({"name": "no spaces"}, 400),
        ({"name": ""}, 400),
        ({"password": "short", "again": "short"}, 400),
        ({"again": "other"}, 400),
    ],
)
async def test_what_cannot_be_registered_is_said_on_the_page(
    homeserver: Homeserver, alice: Client, fields: dict[str, str], status: int
) -> None:
    browser = Browser(homeserver)
    await browser.visit("registration")
    page = await browser.submit(**({"name": "carol", "password": PASSWORD, "again": PASSWORD} | fields))
    assert (page.name, page.status) == ("registration", status)
    assert page.forms[0].fields["name"] == fields.get("name", "carol")


async def test_a_token_and_the_terms_are_asked_for(make_homeserver: MakeHomeserver) -> None:
    terms = {"House rules": "https://one.example/rules"}
    registration = Registration(RegistrationMode.TOKEN, frozenset({"sesame"}), terms=terms)
    browser = Browser(await make_homeserver(registration=registration))
    page = await browser.visit("registration")
    assert "https://one.example/rules" in page.links
    account = {"name": "carol", "password": PASSWORD, "again": PASSWORD}
    assert (await browser.submit(**account, token="sesame")).status == 400
    assert (await browser.submit(**account, token="wrong", agreed="yes")).status == 403
    assert (await browser.submit(**account, token="sesame", agreed="yes")).name == "account"


async def test_nobody_registers_where_it_is_closed(make_homeserver: MakeHomeserver) -> None:
    browser = Browser(await make_homeserver(registration=Registration(RegistrationMode.CLOSED)))
    assert (await browser.visit("registration")).status == 403
    assert not any("registration" in link for link in (await browser.visit("login")).links)
