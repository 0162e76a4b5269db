"""Clients register themselves: what they may say (§OAuth 2.0 API, «Client registration»), and how many are kept."""

from __future__ import annotations

from typing import Any

import pytest

from services.oauth import clients
from services.oauth.urls import ROOT
from services.settings import DAY
from tests.fixtures.homeserver import Homeserver, MakeHomeserver
from tests.fixtures.time import FakeClock
from tests.oauth.browser import Browser
from tests.oauth.client import METADATA, registered

NATIVE = {"application_type": "native"}


async def register(homeserver: Homeserver, **more: Any) -> tuple[int, Any]:
    said = {name: value for name, value in (METADATA | more).items() if value is not None}
    return await homeserver.nobody().post(f"{ROOT}/clients", said)


async def test_a_client_is_told_what_was_registered(homeserver: Homeserver) -> None:
    status, said = await register(
        homeserver, contacts=["a@chat.example"], smoke="x", logo_uri="https://chat.example/l"
    )
    assert status == 201
    assert said == METADATA | {"client_id": said["client_id"], "logo_uri": "https://chat.example/l"}


async def test_the_same_metadata_is_the_same_client(homeserver: Homeserver) -> None:
    _, first = await register(homeserver)
    _, again = await register(homeserver)
    _, other = await register(homeserver, client_name="Other")
    assert first["client_id"] == again["client_id"] != other["client_id"]


async def test_what_is_not_said_has_a_default(homeserver: Homeserver) -> None:
    least = {"client_uri": "https://chat.example", "redirect_uris": ["https://chat.example/back"]}
    status, said = await homeserver.nobody().post(f"{ROOT}/clients", least)
    assert status == 201
    assert (said["client_name"], said["application_type"]) == ("chat.example", "web")
    assert said["grant_types"] == ["authorization_code", "refresh_token"]
    assert (said["response_types"], said["token_endpoint_auth_method"]) == (["code"], "none")


@pytest.mark.parametrize(
    "more",
    [
        {"redirect_uris": ["https://app.chat.example/x?y=1"]},
        {"redirect_uris": ["https://chat.example:8443/x"]},
        NATIVE | {"redirect_uris": ["example.chat:/back"]},
        NATIVE | {"redirect_uris": ["example.chat.android:/"]},
        NATIVE | {"redirect_uris": ["example.chat:back"]},
        NATIVE | {"redirect_uris": ["http://localhost/back", "http://127.0.0.1/", "http://[::1]/x"]},
        NATIVE | {"redirect_uris": ["https://chat.example/claimed"]},
        {"redirect_uris": None, "grant_types": ["urn:ietf:params:oauth:grant-type:device_code"]},
        {"grant_types": ["authorization_code", "urn:smoke"]},
        {"policy_uri": "https://legal.chat.example/", "tos_uri": "https://chat.example/tos"},
    ],
)
async def test_what_a_client_may_say(homeserver: Homeserver, more: dict[str, Any]) -> None:
    status, said = await register(homeserver, **more)
    assert status == 201, said


@pytest.mark.parametrize(
    ("more", "error"),
    [
        ({"client_uri": None}, "invalid_client_metadata"),
        ({"client_uri": 1}, "invalid_client_metadata"),
        ({"client_uri": "http://chat.example"}, "invalid_client_metadata"),
        ({"client_uri": "https://user:pw@chat.example"}, "invalid_client_metadata"),
        ({"client_uri": "https://"}, "invalid_client_metadata"),
        ({"client_uri": "https://chat.example/\r\nX: y"}, "invalid_client_metadata"),
        ({"client_uri": "https://[::1"}, "invalid_client_metadata"),
        ({"client_uri": "https://chat.example:port"}, "invalid_client_metadata"),
        ({"client_name": ["x"]}, "invalid_client_metadata"),
        ({"client_name": "x" * 256}, "invalid_client_metadata"),
        ({"logo_uri": "https://evil.example/logo"}, "invalid_client_metadata"),
        ({"policy_uri": "http://chat.example/policy"}, "invalid_client_metadata"),
        ({"tos_uri": "https://notchat.example/tos"}, "invalid_client_metadata"),
        ({"application_type": "toaster"}, "invalid_client_metadata"),
        ({"grant_types": "authorization_code"}, "invalid_client_metadata"),
        ({"token_endpoint_auth_method": "client_secret_basic"}, "invalid_client_metadata"),
        ({"redirect_uris": []}, "invalid_redirect_uri"),
        ({"redirect_uris": None}, "invalid_redirect_uri"),
        ({"redirect_uris": [1]}, "invalid_client_metadata"),
        (
            {
                "redirect_uris": ["https://chat.example/"] * 1
                + [f"https://chat.example/{n}" for n in range(20)]
            },
            "invalid_redirect_uri",
        ),
        ({"redirect_uris": ["https://evil.example/back"]}, "invalid_redirect_uri"),
        ({"redirect_uris": ["https://evilchat.example/back"]}, "invalid_redirect_uri"),
        ({"redirect_uris": ["https://a@chat.example/back"]}, "invalid_redirect_uri"),
        ({"redirect_uris": ["https://chat.example/back#x"]}, "invalid_redirect_uri"),
        ({"redirect_uris": ["https://chat.example/back#"]}, "invalid_redirect_uri"),
        ({"redirect_uris": ["http://chat.example/back"]}, "invalid_redirect_uri"),
        ({"redirect_uris": ["http://localhost/back"]}, "invalid_redirect_uri"),
        ({"redirect_uris": ["example.chat:/back"]}, "invalid_redirect_uri"),
        ({"redirect_uris": ["javascript:alert(1)"]}, "invalid_redirect_uri"),
        ({"redirect_uris": ["back"]}, "invalid_redirect_uri"),
        (NATIVE | {"redirect_uris": ["javascript:alert(1)"]}, "invalid_redirect_uri"),
        (NATIVE | {"redirect_uris": ["data:text/html,x"]}, "invalid_redirect_uri"),
        (NATIVE | {"redirect_uris": ["example.chatter:/back"]}, "invalid_redirect_uri"),
        (NATIVE | {"redirect_uris": ["example.chat://back"]}, "invalid_redirect_uri"),
        (NATIVE | {"redirect_uris": ["http://localhost:8080/back"]}, "invalid_redirect_uri"),
        (NATIVE | {"redirect_uris": ["http://[::1]:8080/back"]}, "invalid_redirect_uri"),
        (NATIVE | {"redirect_uris": ["http://10.0.0.1/back"]}, "invalid_redirect_uri"),
    ],
)
async def test_what_a_client_may_not_say(homeserver: Homeserver, more: dict[str, Any], error: str) -> None:
    status, said = await register(homeserver, **more)
    assert (status, said["error"]) == (400, error)


@pytest.mark.parametrize("body", [b"", b"[]", b"nonsense", b'"x"'])
async def test_a_body_that_is_no_object_is_refused(homeserver: Homeserver, body: bytes) -> None:
    status, said = await homeserver.nobody().post(f"{ROOT}/clients", data=body)
    assert (status, said["error"]) == (400, "invalid_client_metadata")


async def test_a_program_on_the_users_machine_listens_at_any_port(homeserver: Homeserver, alice: Any) -> None:
    client = await registered(
        homeserver, **NATIVE, redirect_uris=["http://127.0.0.1/back", "http://[::1]/back"]
    )
    for uri in ("http://127.0.0.1:49152/back", "http://[::1]:1234/back"):
        client.redirect_uri = uri
        code = await client.authorize(Browser(homeserver))
        assert (await client.exchange(code))[0] == 200
    for uri in ("http://127.0.0.1:49152/other", "http://localhost:49152/back", "http://127.0.0.1:x/back"):
        page = await Browser(homeserver).visit(f"authorize?{client.query(redirect_uri=uri)}")
        assert (page.status, page.left_for) == (400, None)


async def test_clients_that_nobody_uses_are_forgotten(
    make_homeserver: MakeHomeserver, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = FakeClock()
    homeserver = await make_homeserver(clock=clock)
    await homeserver.user("alice")
    used = await registered(homeserver)
    await used.log_in()
    unused = await registered(homeserver, client_name="Unused")
    clock.advance(31 * DAY)
    await registered(homeserver, client_name="New")
    assert (await used.exchange("x"))[1]["error"] == "invalid_grant"
    assert (await unused.exchange("x"))[1]["error"] == "invalid_client"

    monkeypatch.setattr(clients, "MOST", 3)
    for number in range(5):
        clock.advance(1)
        await registered(homeserver, client_name=f"Another {number}")
    async with homeserver.tenant.database.read() as tx:
        assert await tx.fetchval("SELECT count(*) FROM oauth_clients") == 4
    assert (await used.exchange("x"))[1]["error"] == "invalid_grant"
