"""Logging in with an OpenID provider, as browsers and old clients do."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from services.settings import Registration
from services.upstream.settings import ClientAuth, Mapping, Upstream
from tests.fixtures.homeserver import MakeHomeserver
from tests.fixtures.oidc_provider import OidcProvider
from tests.oauth.browser import Browser
from tests.upstream.scene import MAPPING, REDIRECT, TARGET, configured, scene, traveller


async def test_an_old_client_logs_in_with_the_organisations_account(
    make_homeserver: MakeHomeserver, peer: OidcProvider
) -> None:
    peer.person |= {"name": "Carol Jones", "email": "Carol@corp.example", "email_verified": True}
    homeserver = await scene(make_homeserver, peer)
    flows = (await homeserver.nobody().ok("GET", "login"))["flows"]
    [sso] = [flow for flow in flows if flow["type"] == "m.login.sso"]
    assert sso["identity_providers"] == [
        {"id": "corp", "name": "Corporation", "icon": "mxc://one.example/icon", "brand": "corp"}
    ]
    person = traveller(homeserver)
    page = await person.go()
    assert (page.name, page.status) == ("sso", 200)
    assert "@carol:one.example" in page.text
    assert TARGET in page.text
    assert await person.logged_in() == "@carol:one.example"
    profile = await homeserver.nobody().ok("GET", "profile/@carol:one.example")
    assert profile["displayname"] == "Carol Jones"
    # The next time it is the same user, whatever the provider calls them now.
    peer.person["preferred_username"] = "carol.smith"
    again = traveller(homeserver)
    await again.go()
    assert await again.logged_in() == "@carol:one.example"


async def test_who_logs_in_on_our_page_goes_on_to_what_was_wanted(
    make_homeserver: MakeHomeserver, peer: OidcProvider
) -> None:
    homeserver = await scene(make_homeserver, peer)
    person = traveller(homeserver)
    page = await person.browser.visit("account")
    assert page.name == "login"
    [link] = [link for link in page.links if link.startswith("upstream?")]
    page = await person.browser.visit(link)
    page = await person.browser.open(await person.at_provider(page.left_for or ""))
    assert (page.name, page.status) == ("account", 200)
    assert "@carol:one.example" in page.text


async def test_a_taken_or_wanted_name_is_chosen_by_its_owner(
    make_homeserver: MakeHomeserver, peer: OidcProvider
) -> None:
    homeserver = await scene(make_homeserver, peer)
    await homeserver.user("carol")
    person = traveller(homeserver)
    page = await person.go()
    assert page.name == "upstream_name"
    page = await person.browser.submit(name="carol")
    assert page.status == 400
    page = await person.browser.submit(name="not a name")
    assert page.status == 400
    page = await person.browser.submit(name="Caroline")
    assert page.name == "sso"
    assert await person.logged_in() == "@caroline:one.example"


async def test_the_name_is_not_chosen_in_another_browser(
    make_homeserver: MakeHomeserver, peer: OidcProvider
) -> None:
    homeserver = await scene(make_homeserver, peer, mapping=Mapping(None))
    person, thief = traveller(homeserver), traveller(homeserver)
    page = await person.go()
    question = page.forms[0].fields["question"]
    await thief.browser.visit(f"upstream_name?provider=corp&question={question}")
    page = await thief.browser.submit(name="mine")
    assert page.status == 403


@pytest.mark.parametrize("allowed", [True, False])
async def test_an_account_that_was_there_is_linked_only_where_that_is_allowed(
    make_homeserver: MakeHomeserver, peer: OidcProvider, allowed: bool
) -> None:
    mapping = Mapping("{preferred_username}", allow_existing=allowed, registration=False)
    homeserver = await scene(make_homeserver, peer, mapping=mapping)
    await homeserver.user("carol")
    person = traveller(homeserver)
    page = await person.go()
    if allowed:
        assert await person.logged_in() == "@carol:one.example"
    else:
        assert page.status == 403


async def test_nobody_new_gets_in_where_accounts_are_not_made(
    make_homeserver: MakeHomeserver, peer: OidcProvider
) -> None:
    homeserver = await scene(make_homeserver, peer, mapping=Mapping("{sub}", registration=False))
    page = await traveller(homeserver).go()
    assert page.status == 403
    assert "../../style.css" in page.html


async def test_a_locked_user_stays_out(make_homeserver: MakeHomeserver, peer: OidcProvider) -> None:
    from services.accounts.standing import set_standing

    homeserver = await scene(make_homeserver, peer)
    person = traveller(homeserver)
    await person.go()
    user_id = await person.logged_in()
    await set_standing(homeserver.tenant, user_id, locked=True, suspended=False)  # type: ignore[arg-type]
    assert (await traveller(homeserver).go()).status == 403


@pytest.mark.parametrize("how", [ClientAuth.POST, ClientAuth.NONE])
async def test_the_secret_is_shown_as_configured(
    make_homeserver: MakeHomeserver, peer: OidcProvider, how: ClientAuth
) -> None:
    homeserver = await scene(make_homeserver, peer, client_auth=how)
    page = await traveller(homeserver).go()
    assert page.status == (200 if how is ClientAuth.POST else 502)


async def test_userinfo_tells_what_the_token_does_not(
    make_homeserver: MakeHomeserver, peer: OidcProvider
) -> None:
    del peer.person["preferred_username"]
    peer.userinfo = {"preferred_username": "dora"}
    homeserver = await scene(make_homeserver, peer, userinfo=True)
    person = traveller(homeserver)
    await person.go()
    assert await person.logged_in() == "@dora:one.example"
    peer.userinfo["sub"] = "somebody else"
    assert (await traveller(homeserver).go()).status == 403


async def test_a_trusted_client_needs_no_question_and_nobody_else_does_without(
    make_homeserver: MakeHomeserver, peer: OidcProvider
) -> None:
    upstream = Upstream((configured(peer),), trusted_clients=("https://old.example/app",))
    homeserver = await make_homeserver(upstream=upstream)
    person = traveller(homeserver)
    page = await person.go(f"{TARGET}/?x=1")
    assert await person.token_used(page) == "@carol:one.example"
    for other in (
        "https://old.example/apple",
        "https://old.example/app/../evil",
        "https://old.example/app/%2e%2e/evil",
        "https://old.example.evil/app",
        "https://old.example@evil.example/app",
        "https://old.example:444/app",
        "http://old.example/app",
    ):
        page = await person.browser.open(
            f"{person.browser.base}{REDIRECT}/corp?redirectUrl={quote(other, safe='')}"
        )
        assert (page.name, page.left_for) == ("sso", None), other


async def test_nobody_is_sent_to_what_is_no_address(
    make_homeserver: MakeHomeserver, peer: OidcProvider
) -> None:
    homeserver = await scene(make_homeserver, peer)
    for target in ("javascript:alert(1)", "data:text/html,x", ""):
        page = await Browser(homeserver).open(
            f"https://one.example{REDIRECT}/corp?redirectUrl={quote(target, safe='')}"
        )
        assert page.status == 400
    status, said = await homeserver.nobody().get(f"{REDIRECT}/other?redirectUrl={TARGET}")
    assert (status, said["errcode"]) == (404, "M_NOT_FOUND")


async def test_a_new_person_of_a_closed_server_finds_the_provider(
    make_homeserver: MakeHomeserver, peer: OidcProvider
) -> None:
    homeserver = await make_homeserver(upstream=Upstream((configured(peer),)), registration=Registration())
    browser = Browser(homeserver)
    page = await browser.open(f"{browser.base}{REDIRECT}?redirectUrl={TARGET}&action=register")
    assert page.name == "login"
    assert "Corporation" in page.text


async def test_our_address_is_the_configured_one_whatever_the_host_header_says(
    make_homeserver: MakeHomeserver, peer: OidcProvider
) -> None:
    homeserver = await scene(make_homeserver, peer)
    url = f"{homeserver.url}/_matrix/client/oauth2/upstream?provider=corp"
    headers = {"Host": "evil.example", "X-Forwarded-Host": "evil.example"}
    async with homeserver.session.get(url, headers=headers, allow_redirects=False) as response:
        assert response.status == 303
        query = parse_qs(urlsplit(response.headers["Location"]).query)
    base = "https://one.example/_matrix/client/oauth2"
    assert query["redirect_uri"] == [f"{base}/upstream/corp/callback"]
    page: Any = await traveller(homeserver).go()
    assert peer.asked[-1]["redirect_uri"] == f"{base}/upstream/corp/callback"
    assert page.status == 200


async def test_an_unverified_address_is_not_the_users(
    make_homeserver: MakeHomeserver, peer: OidcProvider
) -> None:
    peer.person |= {"email": "boss@corp.example"}
    homeserver = await scene(make_homeserver, peer, mapping=MAPPING)
    person = traveller(homeserver)
    await person.go()
    await person.logged_in()
    async with homeserver.tenant.database.read() as tx:
        from storage.threepids import threepids_of

        assert await threepids_of(tx, "@carol:one.example") == []
