"""Logging in, refreshing and logging out."""

from dataclasses import replace
from typing import Any

import pytest

from services.settings import DAY, MINUTE, Accounts, Passwords
from tests.client_api.uia import confirmed
from tests.fixtures.client import Client
from tests.fixtures.homeserver import PASSWORD, Homeserver, MakeHomeserver
from tests.fixtures.time import FakeClock

LIFETIME = 5 * MINUTE


def login(user: str, password: str = PASSWORD, **more: Any) -> dict[str, Any]:
    identifier = {"type": "m.id.user", "user": user}
    return {"type": "m.login.password", "identifier": identifier, "password": password} | more


async def whoami(homeserver: Homeserver, token: str) -> tuple[int, Any]:
    client = Client(homeserver.session, homeserver.url, access_token=token)
    status, said = await client.get("account/whoami")
    return status, said if status == 200 else (said["errcode"], said.get("soft_logout", False))


async def test_a_server_says_how_one_can_log_in(homeserver: Homeserver) -> None:
    status, said = await homeserver.nobody().get("login")
    assert status == 200
    assert {"type": "m.login.password"} in said["flows"]


@pytest.mark.parametrize("name", ["alice", "@alice:one.example", "Alice", "@ALICE:one.example"])
async def test_a_user_logs_in_by_name_or_id_in_any_case(
    homeserver: Homeserver, alice: Client, name: str
) -> None:
    status, said = await homeserver.nobody().post("login", login(name))
    assert (status, said["user_id"]) == (200, alice.user_id)
    expected = {"user_id": alice.user_id, "device_id": said["device_id"], "is_guest": False}
    assert await whoami(homeserver, said["access_token"]) == (200, expected)


async def test_old_clients_name_the_user_at_the_top_level(homeserver: Homeserver, alice: Client) -> None:
    body = {"type": "m.login.password", "user": "alice", "password": PASSWORD}
    status, said = await homeserver.nobody().post("login", body)
    assert (status, said["user_id"]) == (200, alice.user_id)


@pytest.mark.parametrize(
    ("name", "password"),
    [("alice", "wrong"), ("nobody", PASSWORD), ("@alice:two.example", PASSWORD), ("", ""), ("@", "x")],
)
async def test_a_wrong_password_and_an_unknown_user_are_refused_alike(
    homeserver: Homeserver, alice: Client, name: str, password: str
) -> None:
    status, said = await homeserver.nobody().post("login", login(name, password))
    assert (status, said) == (403, {"errcode": "M_FORBIDDEN", "error": "Wrong user name or password"})


@pytest.mark.parametrize(
    ("body", "errcode"),
    [
        ({}, "M_MISSING_PARAM"),
        ({"type": 1}, "M_BAD_JSON"),
        ({"type": "m.login.smoke"}, "M_UNKNOWN"),
        ({"type": "m.login.password"}, "M_MISSING_PARAM"),
        ({"type": "m.login.password", "identifier": 1, "password": "x"}, "M_BAD_JSON"),
        (
            {"type": "m.login.password", "identifier": {"type": "m.id.user"}, "password": "x"},
            "M_MISSING_PARAM",
        ),
        (
            {"type": "m.login.password", "identifier": {"type": "m.id.smoke"}, "password": "x"},
            "M_INVALID_PARAM",
        ),
        ({"type": "m.login.password", "user": "alice\0", "password": "x"}, "M_INVALID_PARAM"),
        (login("alice", device_id=""), "M_INVALID_PARAM"),
        (login("alice", device_id="x" * 513), "M_INVALID_PARAM"),
        (login("alice", refresh_token="yes"), "M_BAD_JSON"),
        ({"type": "m.login.token"}, "M_MISSING_PARAM"),
    ],
)
async def test_what_is_no_login_is_told_so(
    homeserver: Homeserver, alice: Client, body: dict[str, Any], errcode: str
) -> None:
    status, said = await homeserver.nobody().post("login", body)
    assert (status, said["errcode"]) == (400, errcode)


async def test_a_device_that_logs_in_again_keeps_its_name_and_loses_its_old_token(
    homeserver: Homeserver, alice: Client
) -> None:
    phone = await alice.log_in(device_id="PHONE", initial_device_display_name="My phone")
    again = await alice.log_in(device_id="PHONE", initial_device_display_name="Another name")
    assert (await whoami(homeserver, str(phone.access_token)))[1] == ("M_UNKNOWN_TOKEN", False)
    status, device = await again.get("devices/PHONE")
    assert (status, device["display_name"]) == (200, "My phone")


async def test_a_password_hashed_at_another_cost_is_hashed_anew(make_homeserver: MakeHomeserver) -> None:
    one = await make_homeserver(passwords=Passwords(time_cost=1, memory_kib=8))
    alice = await one.user("alice")
    settings = replace(one.plan.settings, passwords=Passwords(time_cost=2, memory_kib=16))
    two = await make_homeserver(beside=replace(one, plan=replace(one.plan, settings=settings)))
    await Client(two.session, two.url, alice.user_id, password=PASSWORD).log_in()
    async with two.tenant.database.read() as tx:
        password_hash = await tx.fetchval("SELECT password_hash FROM users")
    assert "m=16,t=2" in password_hash
    await alice.log_in()


async def test_a_login_token_logs_another_client_in_once(homeserver: Homeserver, alice: Client) -> None:
    status, said = await confirmed(alice, "POST", "/_matrix/client/v1/login/get_token")
    assert (status, said["expires_in_ms"]) == (200, 2 * MINUTE)
    body = {"type": "m.login.token", "token": said["login_token"]}
    status, first = await homeserver.nobody().post("login", body)
    assert (status, first["user_id"]) == (200, alice.user_id)
    status, second = await homeserver.nobody().post("login", body)
    assert (status, second["errcode"]) == (403, "M_FORBIDDEN")


async def test_a_login_token_expires(make_homeserver: MakeHomeserver) -> None:
    clock = FakeClock()
    homeserver = await make_homeserver(clock=clock)
    alice = await homeserver.user("alice")
    _, said = await confirmed(alice, "POST", "/_matrix/client/v1/login/get_token")
    clock.advance(2 * MINUTE)
    body = {"type": "m.login.token", "token": said["login_token"]}
    status, said = await homeserver.nobody().post("login", body)
    assert (status, said["errcode"]) == (403, "M_FORBIDDEN")


# -- tokens that expire


async def test_without_a_lifetime_tokens_do_not_expire(make_homeserver: MakeHomeserver) -> None:
    clock = FakeClock()
    alice = await (await make_homeserver(clock=clock)).user("alice")
    clock.advance(1000 * DAY)
    assert (await alice.get("account/whoami"))[0] == 200


async def test_an_expired_token_is_a_soft_logout(make_homeserver: MakeHomeserver) -> None:
    clock = FakeClock()
    homeserver = await make_homeserver(clock=clock, accounts=Accounts(token_lifetime=DAY))
    alice = await homeserver.user("alice")
    _, said = await homeserver.nobody().post("login", login("alice"))
    assert said["expires_in_ms"] == DAY
    clock.advance(DAY - 1)
    assert (await whoami(homeserver, said["access_token"]))[0] == 200
    clock.advance(1)
    assert await whoami(homeserver, said["access_token"]) == (401, ("M_UNKNOWN_TOKEN", True))
    assert await whoami(homeserver, str(alice.access_token)) == (401, ("M_UNKNOWN_TOKEN", True))


async def refreshable(homeserver: Homeserver) -> tuple[str, str]:
    status, said = await homeserver.nobody().post("login", login("alice", refresh_token=True))
    assert (status, said["expires_in_ms"]) == (200, LIFETIME)
    return said["access_token"], said["refresh_token"]


async def refreshed(homeserver: Homeserver, token: str) -> tuple[str, str]:
    status, said = await homeserver.nobody().post("refresh", {"refresh_token": token})
    assert status == 200, said
    return said["access_token"], said["refresh_token"]


async def refused(homeserver: Homeserver, token: str) -> Any:
    status, said = await homeserver.nobody().post("refresh", {"refresh_token": token})
    return status, said["errcode"], said["soft_logout"]


async def test_a_client_refreshes_for_ever(make_homeserver: MakeHomeserver) -> None:
    clock = FakeClock()
    homeserver = await make_homeserver(clock=clock)
    await homeserver.user("alice")
    access, refresh = await refreshable(homeserver)
    for _ in range(3):
        clock.advance(LIFETIME)
        assert await whoami(homeserver, access) == (401, ("M_UNKNOWN_TOKEN", True))
        access, refresh = await refreshed(homeserver, refresh)
        assert (await whoami(homeserver, access))[0] == 200


async def test_the_old_refresh_token_works_until_the_new_access_token_is_used(homeserver: Homeserver) -> None:
    await homeserver.user("alice")
    _, first = await refreshable(homeserver)
    lost_access, lost = await refreshed(homeserver, first)
    access, second = await refreshed(homeserver, first)
    # What the client never got works no more.
    assert (await whoami(homeserver, lost_access))[0] == 401
    assert (await refused(homeserver, lost))[:2] == (401, "M_UNKNOWN_TOKEN")
    assert (await whoami(homeserver, access))[0] == 200
    assert await refused(homeserver, first) == (401, "M_UNKNOWN_TOKEN", False)
    await refreshed(homeserver, second)


async def test_the_old_refresh_token_works_until_the_new_one_is_used(homeserver: Homeserver) -> None:
    await homeserver.user("alice")
    _, first = await refreshable(homeserver)
    _, second = await refreshed(homeserver, first)
    await refreshed(homeserver, second)
    assert (await refused(homeserver, first))[0] == 401


async def test_a_refresh_token_may_expire(make_homeserver: MakeHomeserver) -> None:
    clock = FakeClock()
    homeserver = await make_homeserver(clock=clock, accounts=Accounts(refresh_token_lifetime=DAY))
    await homeserver.user("alice")
    _, refresh = await refreshable(homeserver)
    clock.advance(DAY)
    assert await refused(homeserver, refresh) == (401, "M_UNKNOWN_TOKEN", True)


async def test_old_access_tokens_do_not_pile_up(make_homeserver: MakeHomeserver) -> None:
    clock = FakeClock()
    homeserver = await make_homeserver(clock=clock)
    await homeserver.user("alice")
    _, refresh = await refreshable(homeserver)
    for _ in range(4):
        clock.advance(DAY + LIFETIME + 1)
        _, refresh = await refreshed(homeserver, refresh)
    async with homeserver.tenant.database.read() as tx:
        tokens = await tx.fetchval("SELECT count(*) FROM access_tokens WHERE expires IS NOT NULL")
    assert tokens <= 2


# -- logging out


async def test_logout_ends_the_device(homeserver: Homeserver, alice: Client) -> None:
    phone = await alice.log_in(device_id="PHONE")
    assert await phone.post("logout") == (200, {})
    assert await whoami(homeserver, str(phone.access_token)) == (401, ("M_UNKNOWN_TOKEN", False))
    assert (await alice.get("devices/PHONE"))[0] == 404
    assert (await alice.get("account/whoami"))[0] == 200


async def test_logout_takes_no_body(alice: Client) -> None:
    assert await alice.request("POST", "logout", data=b"this is not JSON") == (200, {})


async def test_logout_all_ends_all_devices_of_this_user_only(
    homeserver: Homeserver, alice: Client, bob: Client
) -> None:
    phone = await alice.log_in()
    refresh = (await refreshable(homeserver))[1]
    assert await alice.post("logout/all") == (200, {})
    for client in (alice, phone):
        assert (await whoami(homeserver, str(client.access_token)))[0] == 401
    assert (await refused(homeserver, refresh))[:2] == (401, "M_UNKNOWN_TOKEN")
    assert (await bob.get("account/whoami"))[0] == 200


@pytest.mark.parametrize("token", ["hta_unknown", "\N{SNOWMAN}", "x" * 5000])
async def test_an_unknown_token_is_refused(homeserver: Homeserver, token: str) -> None:
    client = Client(homeserver.session, homeserver.url)
    status, said = await client.get("account/whoami", params={"access_token": token})
    assert (status, said["errcode"]) == (401, "M_UNKNOWN_TOKEN")


async def test_a_token_is_kept_as_a_digest_only(homeserver: Homeserver, alice: Client) -> None:
    async with homeserver.tenant.database.read() as tx:
        rows = await tx.fetch("SELECT row_to_json(t)::text AS row FROM access_tokens t")
    assert rows
    assert not any(str(alice.access_token) in row["row"] for row in rows)
