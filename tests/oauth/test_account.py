"""The account page: looking after a profile, devices, the password, the identity, and the end of it all."""

from __future__ import annotations

import pytest

from services.settings import MINUTE
from tests.fixtures.client import Client
from tests.fixtures.crypto import cross_signing_of
from tests.fixtures.homeserver import PASSWORD, Homeserver, MakeHomeserver
from tests.fixtures.time import FakeClock
from tests.oauth.browser import Browser
from tests.oauth.client import OAuthClient, registered


@pytest.fixture
async def client(homeserver: Homeserver, alice: Client) -> OAuthClient:
    return await registered(homeserver)


async def signed_in(homeserver: Homeserver) -> Browser:
    browser = Browser(homeserver)
    await browser.visit("account")
    assert (await browser.log_in("alice", PASSWORD)).name == "account"
    return browser


async def test_a_user_changes_the_display_name(homeserver: Homeserver, alice: Client) -> None:
    browser = await signed_in(homeserver)
    page = await browser.submit(displayname="<i>Alice</i> & co")
    assert "<i>" not in page.html
    assert page.forms[0].fields["displayname"] == "<i>Alice</i> & co"
    assert (await alice.ok("GET", f"profile/{alice.user_id}"))["displayname"] == "<i>Alice</i> & co"


@pytest.mark.parametrize(
    ("show", "end"),
    [
        ("org.matrix.devices_list", "org.matrix.device_delete"),
        ("org.matrix.sessions_list", "org.matrix.session_end"),
    ],
)
async def test_a_user_signs_a_device_out(
    homeserver: Homeserver, client: OAuthClient, show: str, end: str
) -> None:
    browser = Browser(homeserver)
    tokens = await client.log_in(browser)
    page = await browser.visit(f"account?action={show}")
    assert "TEACHATTER" in page.text
    assert "Tea <b>Chat</b>" in page.text
    page = await browser.visit(f"account?action={end}&device_id=TEACHATTER")
    page = await browser.submit()
    assert "TEACHATTER" not in page.text
    status, said = await client.matrix(tokens).get("account/whoami")
    assert (status, said["errcode"], said.get("soft_logout", False)) == (401, "M_UNKNOWN_TOKEN", False)
    assert (await client.refresh(tokens["refresh_token"]))[0] == 400


async def test_a_user_names_a_device(homeserver: Homeserver, alice: Client) -> None:
    browser = await signed_in(homeserver)
    await browser.visit(f"account?action=org.matrix.device_view&device_id={alice.device_id}")
    await browser.submit(name="My phone")
    assert (await alice.ok("GET", f"devices/{alice.device_id}"))["display_name"] == "My phone"
    assert (await browser.visit("account?action=org.matrix.device_view&device_id=NOSUCH")).status == 404


async def test_a_link_to_the_page_leads_there_after_signing_in(homeserver: Homeserver, alice: Client) -> None:
    browser = Browser(homeserver)
    await browser.visit(f"account?action=org.matrix.device_view&device_id={alice.device_id}")
    page = await browser.log_in("alice", PASSWORD)
    assert alice.device_id in page.text


async def test_a_user_deactivates_the_account(homeserver: Homeserver, client: OAuthClient) -> None:
    browser = Browser(homeserver)
    tokens = await client.log_in(browser)
    await browser.visit("account?action=org.matrix.account_deactivate")
    assert (await browser.submit()).status == 400  # not sure
    await browser.visit("account?action=org.matrix.account_deactivate")
    assert (await browser.submit(sure="yes")).status == 200
    assert (await client.matrix(tokens).get("account/whoami"))[0] == 401
    assert (await browser.visit("account")).name == "login"
    assert (await browser.log_in("alice", PASSWORD)).status == 403


async def test_what_cannot_be_undone_asks_who_it_is_again(make_homeserver: MakeHomeserver) -> None:
    clock = FakeClock()
    homeserver = await make_homeserver(clock=clock)
    await homeserver.user("alice")
    browser = await signed_in(homeserver)
    await browser.visit("account?action=org.matrix.cross_signing_reset")
    clock.advance(11 * MINUTE)
    page = await browser.submit()
    assert page.name == "login"
    page = await browser.log_in("alice", "wrong")
    assert page.status == 403
    page = await browser.log_in("alice", PASSWORD)
    assert (page.name, page.status) == ("account", 200)
    assert "Allowed" in (await browser.submit()).text
    clock.advance(11 * MINUTE)
    assert (await browser.visit("account?action=org.matrix.account_deactivate")).name == "login"
    assert (await browser.visit("account")).name == "account"
    clock.advance(8 * 24 * 60 * MINUTE)
    assert (await browser.visit("account")).name == "login"


async def test_a_new_password_signs_other_browsers_out(homeserver: Homeserver, alice: Client) -> None:
    browser, other = await signed_in(homeserver), await signed_in(homeserver)
    await browser.visit("account?action=password")
    new = "another battery staple"
    assert (await browser.submit(old="wrong", new=new, again=new)).status == 403
    assert (await browser.submit(old=PASSWORD, new=new, again="other")).status == 400
    assert (await browser.submit(old=PASSWORD, new="short", again="short")).status == 400
    assert (await browser.submit(old=PASSWORD, new=new, again=new)).name == "account"
    assert (await browser.visit("account")).name == "account"
    assert (await other.visit("account")).name == "login"
    assert (await other.log_in("alice", PASSWORD)).status == 403
    assert (await other.log_in("alice", new)).status == 200


async def test_a_locked_user_is_signed_out(homeserver: Homeserver, alice: Client) -> None:
    from protocol.ids import UserID
    from services.accounts.standing import set_standing

    browser = await signed_in(homeserver)
    await set_standing(homeserver.tenant, UserID(alice.user_id), locked=True, suspended=False)
    assert (await browser.visit("account")).name == "login"
    assert (await browser.log_in("alice", PASSWORD)).status == 401


async def test_the_keys_are_replaced_when_the_user_has_allowed_it(
    make_homeserver: MakeHomeserver,
) -> None:
    clock = FakeClock()
    homeserver = await make_homeserver(clock=clock)
    alice = await homeserver.user("alice")
    client, browser = await registered(homeserver), Browser(homeserver)
    session = client.matrix(await client.log_in(browser))
    upload = "keys/device_signing/upload"
    assert (await session.post(upload, cross_signing_of(alice, "one").body()))[0] == 200
    new = cross_signing_of(alice, "two").body()
    status, said = await session.post(upload, new)
    assert (status, said["flows"][0]) == (401, {"stages": ["m.oauth"]})
    url = said["params"]["m.oauth"]["url"]
    assert url == said["params"]["org.matrix.cross_signing_reset"]["url"]
    again = new | {"auth": {"session": said["session"]}}
    assert (await session.post(upload, again))[0] == 401
    await browser.open(url)
    await browser.submit()
    clock.advance(3 * MINUTE)
    assert (await session.post(upload, again))[0] == 200
    # It was good for once, and is good for ten minutes.
    newer = cross_signing_of(alice, "three").body()
    assert (await session.post(upload, newer))[0] == 401
    await browser.open(url)
    await browser.submit()
    clock.advance(10 * MINUTE)
    renewed = client.matrix(await client.log_in())
    assert (await renewed.post(upload, newer))[0] == 401


async def test_interactive_authentication_is_not_for_these_sessions(
    client: OAuthClient, alice: Client
) -> None:
    session = client.matrix(await client.log_in())
    for method, path, body in [
        ("DELETE", f"devices/{alice.device_id}", {}),
        ("POST", "delete_devices", {"devices": [alice.device_id]}),
        ("POST", "account/password", {"new_password": "another battery staple"}),
        ("POST", "account/deactivate", {}),
        ("POST", "/_matrix/client/v1/login/get_token", {}),
    ]:
        status, said = await session.request(method, path, json=body)
        assert (status, said["errcode"]) == (404, "M_UNRECOGNIZED"), path
    told = (await session.ok("GET", "capabilities"))["capabilities"]
    assert told["m.change_password"] == {"enabled": False}
    assert (await alice.ok("GET", "capabilities"))["capabilities"]["m.change_password"] == {"enabled": True}
