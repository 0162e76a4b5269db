"""The authorisation code grant, as a person with a browser and their client go through it."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from services.settings import SECOND
from tests.fixtures.client import Client
from tests.fixtures.crypto import cross_signing_of, public
from tests.fixtures.homeserver import PASSWORD, Homeserver, MakeHomeserver
from tests.fixtures.time import FakeClock
from tests.oauth.browser import Browser
from tests.oauth.client import METADATA, OAuthClient, registered, scope


@pytest.fixture
async def client(homeserver: Homeserver, alice: Client) -> OAuthClient:
    return await registered(homeserver)


async def test_a_person_signs_in_says_yes_and_the_client_has_a_device(
    homeserver: Homeserver, client: OAuthClient
) -> None:
    browser = Browser(homeserver)
    page = await browser.visit(f"authorize?{client.query()}")
    assert (page.name, page.status) == ("login", 200)
    page = await browser.log_in("alice", PASSWORD)
    assert "@alice:one.example" in page.text
    assert "chat.example" in page.text
    answer = client.answered(await browser.submit(answer="allow"))
    assert answer["state"] == "s/1 "
    status, tokens = await client.exchange(answer["code"])
    assert (status, tokens["token_type"], tokens["scope"]) == (200, "Bearer", scope())
    assert 0 < tokens["expires_in"] <= 600
    who = await client.matrix(tokens).ok("GET", "account/whoami")
    assert (who["user_id"], who["device_id"]) == ("@alice:one.example", "TEACHATTER")
    devices = await client.matrix(tokens).ok("GET", "devices/TEACHATTER")
    assert devices["display_name"] == METADATA["client_name"]


async def test_who_is_signed_in_is_asked_at_once(homeserver: Homeserver, client: OAuthClient) -> None:
    browser = Browser(homeserver)
    await client.authorize(browser)
    page = await browser.visit(f"authorize?{client.query()}")
    assert page.name == "authorize"
    page = await browser.submit(1)  # «Use another account»
    assert page.name == "login"
    assert (await browser.visit(f"authorize?{client.query()}")).name == "login"


async def test_a_person_says_no(homeserver: Homeserver, client: OAuthClient) -> None:
    browser = Browser(homeserver)
    await browser.visit(f"authorize?{client.query()}")
    await browser.log_in("alice", PASSWORD)
    answer = client.answered(await browser.submit(answer="deny"))
    assert (answer["error"], answer["state"]) == ("access_denied", "s/1 ")


async def test_the_answer_comes_in_the_fragment_for_who_wants_it_there(
    homeserver: Homeserver, client: OAuthClient
) -> None:
    browser = Browser(homeserver)
    await client.authorize(browser, response_mode="fragment")
    assert browser.page is not None
    parts = urlsplit(browser.page.left_for or "")
    assert (parts.query, sorted(parse_qs(parts.fragment))) == ("", ["code", "state"])


async def test_a_query_of_the_redirect_uri_stays(homeserver: Homeserver, alice: Client) -> None:
    client = await registered(homeserver, redirect_uris=["https://chat.example/?no_universal_links=true"])
    browser = Browser(homeserver)
    await client.authorize(browser)
    assert browser.page is not None
    query = parse_qs(urlsplit(browser.page.left_for or "").query)
    assert sorted(query) == ["code", "no_universal_links", "state"]


async def test_the_names_of_msc2967_are_understood(homeserver: Homeserver, client: OAuthClient) -> None:
    asked = "openid urn:matrix:org.matrix.msc2967.client:api:* urn:matrix:org.matrix.msc2967.client:device:OLDOLDOLD1"
    tokens = await client.log_in(scope=asked)
    assert tokens["scope"] == asked.removeprefix("openid ")
    assert (await client.matrix(tokens).ok("GET", "account/whoami"))["device_id"] == "OLDOLDOLD1"


@pytest.mark.parametrize(
    ("more", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": None}, "unsupported_response_type"),
        ({"response_type": 'x"y'}, "unsupported_response_type"),
        ({"response_mode": "smoke"}, "invalid_request"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"scope": "openid"}, "invalid_scope"),
        ({"scope": "urn:matrix:client:api:*"}, "invalid_scope"),
        ({"scope": scope("ONE") + " urn:matrix:client:device:TWO"}, "invalid_scope"),
        ({"scope": scope("with/slash")}, "invalid_scope"),
        ({"scope": scope("")}, "invalid_scope"),
        ({"scope": None}, "invalid_scope"),
    ],
)
async def test_a_wrong_request_is_sent_back_to_its_client(
    homeserver: Homeserver, client: OAuthClient, more: dict[str, str | None], error: str
) -> None:
    page = await Browser(homeserver).visit(f"authorize?{client.query(**more)}")
    answer = client.answered(page)
    assert (answer["error"], answer["state"]) == (error, "s/1 ")


@pytest.mark.parametrize(
    "more",
    [
        {"client_id": "nobody"},
        {"client_id": None},
        {"redirect_uri": "https://evil.example/back"},
        {"redirect_uri": "https://chat.example/back/../evil"},
        {"redirect_uri": "https://chat.example/back?x=1"},
        {"redirect_uri": "https://chat.example:444/back"},
        {"redirect_uri": "javascript:alert(1)"},
        {"redirect_uri": "http://[::1"},
        {"redirect_uri": None},
    ],
)
async def test_nobody_is_sent_to_a_stranger(
    homeserver: Homeserver, client: OAuthClient, more: dict[str, str | None]
) -> None:
    page = await Browser(homeserver).visit(f"authorize?{client.query(**more)}")
    assert (page.status, page.left_for) == (400, None)


@pytest.mark.parametrize(
    "onward", ["https://evil.example/", "//evil.example", "/evil", "account\r\nX: y", "evil"]
)
async def test_nobody_is_sent_away_after_signing_in(
    homeserver: Homeserver, alice: Client, onward: str
) -> None:
    browser = Browser(homeserver)
    await browser.visit("login")
    page = await browser.submit(name="alice", password=PASSWORD, next=onward)
    assert (page.name, page.status, page.left_for) == ("account", 200, None)


async def test_a_code_wants_its_verifier(homeserver: Homeserver, client: OAuthClient) -> None:
    code = await client.authorize(Browser(homeserver))
    for verifier in ("w" * 64, "short", ""):
        status, said = await client.exchange(code, code_verifier=verifier)
        assert (status, said["error"] in ("invalid_grant", "invalid_request")) == (400, True)
    status, _ = await client.exchange(code)
    assert status == 200


@pytest.mark.parametrize(
    ("more", "status", "error"),
    [
        ({"redirect_uri": "https://chat.example/"}, 400, "invalid_grant"),
        ({"redirect_uri": ""}, 400, "invalid_grant"),
        ({"code": "htc_nonsense"}, 400, "invalid_grant"),
        ({"client_id": "nobody"}, 401, "invalid_client"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"grant_type": ""}, 400, "unsupported_grant_type"),
    ],
)
async def test_a_wrong_exchange_is_refused(
    homeserver: Homeserver, client: OAuthClient, more: dict[str, str], status: int, error: str
) -> None:
    code = await client.authorize(Browser(homeserver))
    answered, said = await client.exchange(code, **more)
    assert (answered, said["error"]) == (status, error)


async def test_a_code_is_its_clients(homeserver: Homeserver, client: OAuthClient) -> None:
    other = await registered(homeserver, client_name="Other")
    code = await client.authorize(Browser(homeserver))
    status, said = await other.exchange(code)
    assert (status, said["error"]) == (400, "invalid_grant")


async def test_a_code_that_comes_again_ends_the_session(homeserver: Homeserver, client: OAuthClient) -> None:
    code = await client.authorize(Browser(homeserver))
    _, tokens = await client.exchange(code)
    status, said = await client.exchange(code)
    assert (status, said["error"]) == (400, "invalid_grant")
    assert (await client.matrix(tokens).get("account/whoami"))[0] == 401
    assert (await client.refresh(tokens["refresh_token"]))[0] == 400


async def test_a_code_is_good_for_a_minute(make_homeserver: MakeHomeserver) -> None:
    clock = FakeClock()
    homeserver = await make_homeserver(clock=clock)
    await homeserver.user("alice")
    client = await registered(homeserver)
    code = await client.authorize(Browser(homeserver))
    clock.advance(60 * SECOND)
    status, said = await client.exchange(code)
    assert (status, said["error"]) == (400, "invalid_grant")


async def test_a_parameter_twice_is_refused(homeserver: Homeserver, client: OAuthClient) -> None:
    page = await Browser(homeserver).visit(f"authorize?{client.query()}&state=t")
    assert client.answered(page)["error"] == "invalid_request"
    page = await Browser(homeserver).visit(f"authorize?{client.query()}&redirect_uri=https://evil.example/")
    assert (page.status, page.left_for) == (400, None)


async def test_a_form_of_another_site_is_not_taken(homeserver: Homeserver, client: OAuthClient) -> None:
    browser = Browser(homeserver)
    await client.authorize(browser)
    await browser.visit(f"authorize?{client.query()}")
    page = await browser.submit(answer="allow", form_token="0" * 64)
    assert (page.status, page.left_for) == (400, None)


async def test_any_process_serves_any_step(
    homeserver: Homeserver, client: OAuthClient, make_homeserver: MakeHomeserver
) -> None:
    other = OAuthClient(await make_homeserver(beside=homeserver), client.client_id)
    browser = Browser(homeserver)
    await browser.visit("login")
    await browser.log_in("alice", PASSWORD)
    browser.homeserver = other.homeserver
    code = await other.authorize(browser)
    status, tokens = await client.exchange(code)
    assert status == 200
    assert (await other.matrix(tokens).get("account/whoami"))[0] == 200
    assert (await other.exchange(code))[0] == 400
    assert (await client.matrix(tokens).get("account/whoami"))[0] == 401


async def test_a_cross_signing_key_is_no_device(
    homeserver: Homeserver, alice: Client, client: OAuthClient
) -> None:
    generations = (cross_signing_of(alice, str(number)) for number in range(100))
    keys = next(keys for keys in generations if not set(public(keys.master)) & set("+/"))
    await alice.ok("POST", "keys/device_signing/upload", json=keys.body())
    code = await client.authorize(Browser(homeserver), scope=scope(public(keys.master)))
    status, said = await client.exchange(code)
    assert (status, said["error"]) == (400, "invalid_grant")


async def test_a_device_that_is_there_is_taken_over(homeserver: Homeserver, alice: Client) -> None:
    client = await registered(homeserver)
    await client.log_in(scope=scope(alice.device_id))
    assert (await alice.get("account/whoami"))[0] == 401


async def test_without_oauth_there_is_none(make_homeserver: MakeHomeserver) -> None:
    from services.settings import OAuth

    homeserver = await make_homeserver(oauth=OAuth(enabled=False))
    nobody = homeserver.nobody()
    for method, path in [
        ("GET", "/_matrix/client/v1/auth_metadata"),
        ("POST", "/_matrix/client/oauth2/clients"),
        ("POST", "/_matrix/client/oauth2/token"),
        ("GET", "/_matrix/client/unstable/org.matrix.msc2965/auth_metadata"),
    ]:
        status, said = await nobody.request(method, path)
        assert (status, said["errcode"]) == (404, "M_UNRECOGNIZED")
    assert (await Browser(homeserver).visit("login")).status == 404
