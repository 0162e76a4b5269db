"""Users without a password show who they are through their provider, for what asks for it."""

from __future__ import annotations

import time
from base64 import urlsafe_b64encode
from typing import Any

from yarl import URL

from tests.fixtures.client import Client
from tests.fixtures.homeserver import Homeserver, MakeHomeserver
from tests.fixtures.oidc_provider import OidcProvider
from tests.oauth.browser import Browser, Page
from tests.upstream.scene import Traveller, scene, traveller

FALLBACK = "/_matrix/client/v3/auth/m.login.sso/fallback/web"
LOGOUT = "http://schemas.openid.net/event/backchannel-logout"


async def carol(homeserver: Homeserver) -> tuple[Traveller, Client]:
    """A user who came through the provider, at a client of the older kind."""
    person = traveller(homeserver)
    await person.go()
    token = (await person.browser.submit(answer="allow")).left_for or ""
    login = {"type": "m.login.token", "token": token.partition("loginToken=")[2], "device_id": "ONE"}
    _, said = await homeserver.nobody().post("login", login)
    client = homeserver.nobody()
    client.user_id, client.access_token = said["user_id"], said["access_token"]
    return person, client


async def through_fallback(person: Traveller, session: str) -> Page:
    """The page of the stage, the provider, and back."""
    browser = person.browser
    page = await browser.open(f"{browser.base}{FALLBACK}?session={session}")
    assert page.name == "upstream_proof", page.html
    page = await browser.submit()
    return await browser.open(await person.at_provider(page.left_for or ""))


async def begun(client: Client) -> dict[str, Any]:
    """The answer to a deletion that has shown nothing yet."""
    status, said = await client.post("delete_devices", {"devices": ["ONE"]})
    assert status == 401
    return dict(said)


async def test_a_device_is_deleted_after_the_provider_was_asked(
    make_homeserver: MakeHomeserver, peer: OidcProvider
) -> None:
    homeserver = await scene(make_homeserver, peer)
    person, client = await carol(homeserver)
    said = await begun(client)
    assert said["flows"] == [{"stages": ["m.login.sso"]}]
    body = {"devices": ["ONE"], "auth": {"session": said["session"]}}
    assert (await client.post("delete_devices", body))[0] == 401
    tried = body | {"auth": {"session": said["session"], "type": "m.login.sso"}}
    assert (await client.post("delete_devices", tried))[0] == 401
    page = await through_fallback(person, said["session"])
    assert "onAuthDone" in page.html
    assert peer.asked[-1]["prompt"] == "login"
    assert (await client.post("delete_devices", body))[0] == 200
    assert (await client.get("account/whoami"))[0] == 401


async def test_the_page_says_what_is_wanted_and_is_in_nobodys_frame(
    make_homeserver: MakeHomeserver, peer: OidcProvider
) -> None:
    homeserver = await scene(make_homeserver, peer)
    person, client = await carol(homeserver)
    session = (await begun(client))["session"]
    page = await person.browser.open(f"{person.browser.base}{FALLBACK}?session={session}")
    assert "log out devices" in page.text
    assert "@carol:one.example" in page.text
    assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]
    form = dict(page.forms[0].fields)
    page = await person.browser.post("upstream_proof", form | {"form_token": "forged"})
    assert page.status == 400


async def test_somebody_elses_proof_does_not_count(
    make_homeserver: MakeHomeserver, peer: OidcProvider
) -> None:
    homeserver = await scene(make_homeserver, peer)
    _, client = await carol(homeserver)
    peer.person = {"sub": "8", "preferred_username": "mallory"}
    mallory = traveller(homeserver)
    await mallory.go()
    session = (await begun(client))["session"]
    assert (await through_fallback(mallory, session)).status == 403
    body = {"devices": ["ONE"], "auth": {"session": session}}
    assert (await client.post("delete_devices", body))[0] == 401


async def test_a_provider_that_has_not_asked_does_not_count(
    make_homeserver: MakeHomeserver, peer: OidcProvider
) -> None:
    homeserver = await scene(make_homeserver, peer)
    person, client = await carol(homeserver)
    session = (await begun(client))["session"]
    peer.lie = {"auth_time": int(time.time()) - 3600}
    assert (await through_fallback(person, session)).status == 403


async def test_who_has_a_password_may_use_either(make_homeserver: MakeHomeserver, peer: OidcProvider) -> None:
    from services.upstream.settings import Mapping

    mapping = Mapping("{preferred_username}", allow_existing=True)
    homeserver = await scene(make_homeserver, peer, mapping=mapping)
    await homeserver.user("carol")
    bob = await homeserver.user("bob")
    _, client = await carol(homeserver)
    assert (await begun(client))["flows"] == [{"stages": ["m.login.password"]}, {"stages": ["m.login.sso"]}]
    assert (await begun(bob))["flows"] == [{"stages": ["m.login.password"]}]


async def test_the_account_page_asks_the_provider_again(
    make_homeserver: MakeHomeserver, peer: OidcProvider
) -> None:
    homeserver = await scene(make_homeserver, peer)
    browser = Browser(homeserver)
    page = await browser.visit("login?next=account&again=")
    [link] = [link for link in page.links if link.startswith("upstream?")]
    page = await browser.visit(link)
    assert "prompt=login" in (page.left_for or "")


async def test_the_provider_ends_all_sessions(make_homeserver: MakeHomeserver, peer: OidcProvider) -> None:
    homeserver = await scene(make_homeserver, peer, backchannel_logout=True)
    person, client = await carol(homeserver)
    url = f"{homeserver.url}/_matrix/client/oauth2/upstream/corp/logout"
    good: dict[str, Any] = {"events": {LOGOUT: {}}, "jti": "1"}
    wrongs: tuple[dict[str, Any], ...] = (
        {"events": None},
        {"events": {}},
        {"nonce": "there must be none"},
        {"aud": "another"},
        {"iss": "https://evil.example"},
        {"iat": int(time.time()) - 3600},
        {"iat": None},
        {"sub": None, "sid": "x"},
    )
    for wrong in wrongs:
        token = peer.id_token(**(good | wrong))
        async with homeserver.session.post(url, data={"logout_token": token}) as response:
            assert response.status == 400, wrong
    assert (await client.get("account/whoami"))[0] == 200
    token = peer.id_token(**good)
    async with homeserver.session.post(url, data={"logout_token": token}) as response:
        assert response.status == 200
    assert (await client.get("account/whoami"))[0] == 401
    assert (await person.browser.visit("account")).name == "login"


async def test_no_provider_ends_sessions_unless_it_may(
    make_homeserver: MakeHomeserver, peer: OidcProvider
) -> None:
    homeserver = await scene(make_homeserver, peer)
    _, client = await carol(homeserver)
    url = f"{homeserver.url}/_matrix/client/oauth2/upstream/corp/logout"
    async with homeserver.session.post(
        url, data={"logout_token": peer.id_token(events={LOGOUT: {}})}
    ) as response:
        assert response.status == 404
    assert (await client.get("account/whoami"))[0] == 200


async def test_nonsense_ends_no_sessions(make_homeserver: MakeHomeserver, peer: OidcProvider) -> None:
    homeserver = await scene(make_homeserver, peer, backchannel_logout=True)
    url = f"{homeserver.url}/_matrix/client/oauth2/upstream/corp/logout"
    headers = (
        b"[]",
        b"7",
        b"null",
        b"{",
        b"[" * 20_000,
        b'{"alg": 7}',
        b'{"alg": "RS256", "kid": {}}',
        b"\xff",
        b"{}",
    )
    tokens = [f"{urlsafe_b64encode(header).decode().rstrip('=')}.e30.c2ln" for header in headers]
    for token in (*tokens, "", ".", "..", "\0", "ü.ü.ü", "a" * 60_000):
        async with homeserver.session.post(url, data={"logout_token": token}) as response:
            assert response.status == 400, token[:40]
    async with homeserver.session.post(url, data=b"\xff=%ff&logout_token=%ff.%ff.%ff") as response:
        assert response.status == 400
    for page in ("callback?state=%00&code=%00", "callback", "callback?state=%ff"):
        at = URL(f"{homeserver.url}/_matrix/client/oauth2/upstream/corp/{page}", encoded=True)
        async with homeserver.session.get(at, allow_redirects=False) as response:
            assert response.status in (400, 403), page
