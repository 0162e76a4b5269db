"""Refreshing and revoking, and what else ends a session."""

from __future__ import annotations

import pytest

from services.settings import MINUTE
from tests.fixtures.client import Client
from tests.fixtures.homeserver import PASSWORD, Homeserver, MakeHomeserver
from tests.fixtures.time import FakeClock
from tests.oauth.browser import Browser
from tests.oauth.client import OAuthClient, registered


@pytest.fixture
async def client(homeserver: Homeserver, alice: Client) -> OAuthClient:
    return await registered(homeserver)


async def is_good(client: OAuthClient, tokens: dict[str, str]) -> bool:
    return (await client.matrix(tokens).get("account/whoami"))[0] == 200


async def test_tokens_are_renewed_in_turn(make_homeserver: MakeHomeserver) -> None:
    clock = FakeClock()
    homeserver = await make_homeserver(clock=clock)
    await homeserver.user("alice")
    client = await registered(homeserver)
    first = await client.log_in()
    clock.advance(6 * MINUTE)
    assert (await client.matrix(first).get("account/whoami"))[1]["soft_logout"] is True
    status, second = await client.refresh(first["refresh_token"])
    assert (status, second["scope"]) == (200, first["scope"])
    assert second["refresh_token"] != first["refresh_token"]
    assert await is_good(client, second)
    assert (await client.refresh(second["refresh_token"]))[0] == 200


async def test_a_lost_answer_is_asked_for_again(client: OAuthClient) -> None:
    first = await client.log_in()
    _, lost = await client.refresh(first["refresh_token"])
    status, second = await client.refresh(first["refresh_token"])
    assert status == 200
    assert second["refresh_token"] != lost["refresh_token"]
    assert await is_good(client, second)


async def test_an_old_refresh_token_that_comes_back_ends_the_session(client: OAuthClient) -> None:
    first = await client.log_in()
    _, second = await client.refresh(first["refresh_token"])
    assert await is_good(client, second)
    status, said = await client.refresh(first["refresh_token"])
    assert (status, said["error"]) == (400, "invalid_grant")
    assert not await is_good(client, second)
    assert (await client.refresh(second["refresh_token"]))[0] == 400


async def test_a_guessed_refresh_token_ends_nothing(client: OAuthClient) -> None:
    tokens = await client.log_in()
    for guess in ("", "htr_", "htr_" + "x" * 65, "nonsense", tokens["access_token"]):
        status, said = await client.refresh(guess)
        assert (status, said["error"]) == (400, "invalid_grant")
    assert await is_good(client, tokens)


async def test_a_refresh_token_is_its_clients(homeserver: Homeserver, client: OAuthClient) -> None:
    tokens = await client.log_in()
    other = await registered(homeserver, client_name="Other")
    status, said = await other.refresh(tokens["refresh_token"])
    assert (status, said["error"]) == (400, "invalid_grant")
    assert (await client.refresh(tokens["refresh_token"]))[0] == 200


async def test_more_cannot_be_had_by_refreshing(client: OAuthClient) -> None:
    tokens = await client.log_in()
    status, said = await client.refresh(tokens["refresh_token"], scope="urn:matrix:client:device:OTHEROTHER")
    assert (status, said["error"]) == (400, "invalid_scope")


async def test_old_sessions_refresh_as_before(homeserver: Homeserver, alice: Client) -> None:
    login = {
        "type": "m.login.password",
        "identifier": {"type": "m.id.user", "user": "alice"},
        "password": PASSWORD,
        "refresh_token": True,
    }
    status, first = await homeserver.nobody().post("login", login)
    assert status == 200
    body = {"refresh_token": first["refresh_token"]}
    assert (await homeserver.nobody().post("refresh", body))[0] == 200


@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
async def test_a_revoked_token_takes_session_and_device_with_it(
    client: OAuthClient, alice: Client, kind: str
) -> None:
    tokens = await client.log_in()
    status, said = await client.post("revoke", token=tokens[kind], client_id=client.client_id)
    assert (status, said) == (200, {})
    assert not await is_good(client, tokens)
    assert (await client.refresh(tokens["refresh_token"]))[0] == 400
    assert (await alice.get("devices/TEACHATTER"))[0] == 404
    assert (await client.post("revoke", token=tokens[kind], client_id=client.client_id))[0] == 200


async def test_another_client_revokes_nothing(homeserver: Homeserver, client: OAuthClient) -> None:
    tokens = await client.log_in()
    status, said = await client.post("revoke", token=tokens["access_token"], client_id="other")
    assert (status, said["error"]) == (401, "invalid_client")
    status, said = await client.post("revoke")
    assert (status, said["error"]) == (400, "invalid_request")
    assert await is_good(client, tokens)


async def test_tokens_of_the_old_login_are_not_revoked_here(homeserver: Homeserver, alice: Client) -> None:
    client = await registered(homeserver)
    assert (await client.post("revoke", token=alice.access_token or ""))[0] == 200
    assert (await alice.get("account/whoami"))[0] == 200


async def test_a_logout_is_the_end_of_the_session(client: OAuthClient) -> None:
    tokens = await client.log_in()
    await client.matrix(tokens).ok("POST", "logout")
    assert (await client.refresh(tokens["refresh_token"]))[0] == 400


async def test_a_device_that_logs_in_the_old_way_is_no_session_any_more(
    homeserver: Homeserver, alice: Client, client: OAuthClient
) -> None:
    tokens = await client.log_in()
    login = {
        "type": "m.login.password",
        "identifier": {"type": "m.id.user", "user": "alice"},
        "password": PASSWORD,
        "device_id": "TEACHATTER",
    }
    status, said = await homeserver.nobody().post("login", login)
    assert (status, said["device_id"]) == (200, "TEACHATTER")
    assert (await client.refresh(tokens["refresh_token"]))[0] == 400
    old_way = Client(homeserver.session, homeserver.url, access_token=said["access_token"])
    assert (await old_way.delete("devices/NOTTHERE"))[0] == 401  # it is asked for the password


async def test_a_deactivated_user_gets_no_tokens(homeserver: Homeserver, alice: Client) -> None:
    client = await registered(homeserver)
    code = await client.authorize(Browser(homeserver))
    body = {
        "auth": {
            "type": "m.login.password",
            "identifier": {"type": "m.id.user", "user": "alice"},
            "password": PASSWORD,
        }
    }
    assert (await alice.post("account/deactivate", body))[0] == 200
    status, said = await client.exchange(code)
    assert (status, said["error"]) == (400, "invalid_grant")


async def test_what_clients_are_given_is_not_in_the_database(
    homeserver: Homeserver, client: OAuthClient
) -> None:
    tokens = await client.log_in()
    secrets = [tokens["access_token"], tokens["refresh_token"]]
    async with homeserver.tenant.database.read() as tx:
        for table in ("access_tokens", "refresh_tokens", "oauth_sessions", "oauth_codes", "oauth_browsers"):
            rows = await tx.fetch(f"SELECT t::text AS row FROM {table} t")
            assert rows
            assert not any(secret in row["row"] for row in rows for secret in secrets)
