"""m.login.sso, for clients from before OAuth: the same pages, and a login token at the end."""

from __future__ import annotations

from urllib.parse import parse_qs, quote, urlsplit

import pytest

from services.settings import OAuth
from tests.fixtures.client import Client
from tests.fixtures.homeserver import PASSWORD, Homeserver, MakeHomeserver
from tests.oauth.browser import Browser, Page

REDIRECT = "/_matrix/client/v3/login/sso/redirect"


async def begin(homeserver: Homeserver, target: str, more: str = "") -> tuple[Browser, Page]:
    browser = Browser(homeserver)
    return browser, await browser.open(f"{browser.base}{REDIRECT}?redirectUrl={quote(target, safe='')}{more}")


async def test_an_old_client_gets_a_token_with_which_it_logs_in(
    homeserver: Homeserver, alice: Client
) -> None:
    flows = (await homeserver.nobody().ok("GET", "login"))["flows"]
    assert {"type": "m.login.sso", "oauth_aware_preferred": True} in flows
    browser, _ = await begin(homeserver, "https://old.example/?loginToken=x&a=1#there")
    page = await browser.log_in("alice", PASSWORD)
    assert "https://old.example/" in page.text
    assert page.headers["Content-Security-Policy"].endswith("form-action 'self' https://old.example")
    page = await browser.submit(answer="allow")
    parts = urlsplit(page.left_for or "")
    query = parse_qs(parts.query)
    assert (parts.netloc, parts.fragment, query["a"], len(query["loginToken"])) == (
        "old.example",
        "there",
        ["1"],
        1,
    )
    login = {"type": "m.login.token", "token": query["loginToken"][0]}
    status, said = await homeserver.nobody().post("login", login)
    assert (status, said["user_id"]) == (200, alice.user_id)


async def test_nobody_goes_on_without_being_asked(homeserver: Homeserver, alice: Client) -> None:
    browser, _ = await begin(homeserver, "https://old.example/")
    await browser.log_in("alice", PASSWORD)
    page = await browser.submit(answer="deny")
    assert (page.status, page.left_for) == (200, None)
    page = await browser.open(f"{browser.base}{REDIRECT}?redirectUrl=https%3A%2F%2Fevil.example%2F")
    assert (page.name, page.left_for) == ("sso", None)


async def test_a_new_person_registers(homeserver: Homeserver) -> None:
    _, page = await begin(homeserver, "element://back", "&action=register")
    assert page.name == "registration"


@pytest.mark.parametrize(
    "target", ["javascript:alert(1)", "JavaScript:x", "data:text/html,x", "nowhere", "", "a:\r\nb"]
)
async def test_where_no_browser_can_be_sent_none_is(homeserver: Homeserver, target: str) -> None:
    _, page = await begin(homeserver, target)
    assert page.status == 400
    browser = Browser(homeserver)
    assert (await browser.visit(f"sso?redirectUrl={quote(target, safe='')}")).status == 400


async def test_without_oauth_there_is_none(make_homeserver: MakeHomeserver) -> None:
    homeserver = await make_homeserver(oauth=OAuth(enabled=False))
    flows = (await homeserver.nobody().ok("GET", "login"))["flows"]
    assert all(flow["type"] != "m.login.sso" for flow in flows)
    assert (await homeserver.nobody().get(f"{REDIRECT}?redirectUrl=https://x.example/"))[0] == 404
