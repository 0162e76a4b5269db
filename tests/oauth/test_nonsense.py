"""Whatever is sent to the endpoints and pages, the mistake is the sender's."""

from __future__ import annotations

import pytest

import client_api
from client_api.rendezvous import NEW, OLD
from services.oauth.urls import ROOT
from tests.fixtures.client import Client
from tests.fixtures.homeserver import PASSWORD, Homeserver
from tests.oauth.browser import Browser
from web.endpoint import routes_under

PATHS = sorted(
    {
        (endpoint.method, path)
        for endpoint in routes_under(client_api)
        for path in endpoint.paths
        if path.startswith((ROOT, OLD, NEW))
    }
)
BODIES = (
    b"",
    b"&&=&=",
    b"a",
    b"%ff=%ff",
    b"\xff\xfe=\x80",
    b"a=%00",
    b"[]",
    b"{",
    b'{"data": "\\ud800"}',
    b'{"data": "\\u0000", "sequence_token": 1}',
    b"grant_type=authorization_code&code=%F0%9F%98%80&client_id=%22",
    b"grant_type=refresh_token&refresh_token=%ED%A0%80",
    b"token=" + "\u00e9".encode() * 100,
    b"change=displayname&form_token=\xc3\xa9",
    b"x=" + b"y" * 70_000,
)
QUERIES = (
    "",
    "?",
    "?client_id=%00",
    "?client_id=%ff",
    "?next=%0d%0aX:y",
    "?user_code=%22%3E",
    "?action=%5C&device_id=%F0%9F%98%80",
)


def test_the_pages_are_there() -> None:
    assert len(PATHS) >= 25


@pytest.mark.parametrize("signed_in", [False, True])
async def test_nothing_makes_the_server_fail(homeserver: Homeserver, alice: Client, signed_in: bool) -> None:
    browser = Browser(homeserver)
    if signed_in:
        await browser.visit("account")
        await browser.log_in("alice", PASSWORD)
    cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    client = homeserver.nobody()
    failed = []
    for method, path in PATHS:
        path = path.replace("{rendezvousId}", "%F0%9F%98%80")
        for query in QUERIES:
            for body in BODIES if method in ("POST", "PUT") else (b"",):
                for said in ("application/x-www-form-urlencoded", "text/\xe9"):
                    headers = {"Cookie": cookie, "Content-Type": said, "If-Match": '"\xe9"'}
                    status, _ = await client.request(
                        method, path + query, data=body, headers=headers, allow_redirects=False
                    )
                    if status >= 500:
                        failed.append((method, path + query, body[:50], status))
    assert failed == []


FIELDS = (
    "name",
    "password",
    "again",
    "email",
    "sid",
    "client_secret",
    "human",
    "token",
    "new",
    "old",
    "next",
)
VALUES = (
    "",
    "\0",
    "%",
    "\u2028",
    "x" * 20_000,
    "@@@",
    "\U0001f600@\U0001f600.example",
    "../../..",
    "account?\r\nX: y",
)
CHANGES = (
    "displayname",
    "rename_device",
    "delete_device",
    "password",
    "add_email",
    "confirm_email",
    "delete_email",
    "nothing of the kind",
)


@pytest.mark.parametrize("signed_in", [False, True])
async def test_forms_with_nonsense_in_them_are_refused_as_nonsense(
    homeserver: Homeserver, alice: Client, signed_in: bool
) -> None:
    browser, failed = Browser(homeserver), []
    page = await browser.visit("account")
    if signed_in:
        await browser.log_in("alice", PASSWORD)
        page = await browser.visit("account")
    token = page.forms[0].fields["form_token"]
    names = [
        path.removeprefix(f"{ROOT}/") for method, path in PATHS if method == "POST" and path.startswith(ROOT)
    ]
    forms = [(name, {}) for name in names if "{" not in name and name not in ("account", "logout")]
    forms += [("account", {"change": change}) for change in CHANGES] if signed_in else []
    for name, fixed in forms:
        for value in VALUES:
            said = dict.fromkeys((*FIELDS, "displayname", "device_id", "change"), value) | fixed
            page = await browser.post(name, said | {"form_token": token})
            if page.status >= 500:
                failed.append((name, fixed, value[:20], page.status))
    assert failed == []


@pytest.mark.parametrize("cookie", ["__Host-hearth", "__Host-hearth=", "__Host-hearth=\udcff", ";;=;", "=x"])
async def test_a_strange_cookie_is_nobodys(homeserver: Homeserver, alice: Client, cookie: str) -> None:
    headers = {"Cookie": cookie}
    for name in ("login", "registration", "link", "account"):
        status, _ = await homeserver.nobody().get(f"{ROOT}/{name}", headers=headers, allow_redirects=False)
        assert status in (200, 303)
    status, _ = await homeserver.nobody().post(f"{ROOT}/login", data=b"form_token=x", headers=headers)
    assert status == 400
