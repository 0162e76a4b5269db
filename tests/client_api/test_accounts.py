"""Another password, the end of an account, locked and suspended ones, and what others are shown."""

import asyncio
from typing import Any

import pytest

from protocol.ids import UserID
from protocol.matrix_error import UserSuspended
from services.accounts.authenticate import Claim, Who, authenticate
from services.accounts.openid import user_of_openid_token
from services.accounts.standing import refuse_suspended, set_standing
from services.settings import HOUR
from tests.client_api.uia import by_password, confirmed
from tests.fixtures.client import Client
from tests.fixtures.homeserver import Homeserver, MakeHomeserver
from tests.fixtures.time import FakeClock

NEW = "a new and longer password"


async def errcode(client: Client, path: str = "account/whoami") -> Any:
    status, said = await client.get(path)
    return (status, said.get("errcode"), said.get("soft_logout"))


GONE = (401, "M_UNKNOWN_TOKEN", False)


async def test_a_new_password_logs_the_other_devices_out(homeserver: Homeserver, alice: Client) -> None:
    phone = await alice.log_in()
    assert await confirmed(alice, "POST", "account/password", {"new_password": NEW}) == (200, {})
    assert await errcode(phone) == GONE
    assert (await alice.get("account/whoami"))[0] == 200
    assert (await homeserver.nobody().post("login", _login(alice.password)))[0] == 403
    await alice.log_in(NEW)


async def test_the_other_devices_may_stay(alice: Client) -> None:
    phone = await alice.log_in()
    body = {"new_password": NEW, "logout_devices": False}
    assert await confirmed(alice, "POST", "account/password", body) == (200, {})
    assert (await phone.get("account/whoami"))[0] == 200


async def test_without_a_token_the_password_says_whose_account_it_is(
    homeserver: Homeserver, alice: Client
) -> None:
    nobody = homeserver.nobody()
    _, said = await nobody.post("account/password", {"new_password": NEW})
    auth = by_password(alice, said["session"])
    assert await nobody.post("account/password", {"new_password": NEW, "auth": auth}) == (200, {})
    assert await errcode(alice) == GONE
    await alice.log_in(NEW)


async def test_a_weak_password_is_refused(alice: Client) -> None:
    status, said = await alice.post("account/password", {"new_password": "short"})
    assert (status, said["errcode"]) == (400, "M_WEAK_PASSWORD")


async def test_a_deactivated_account_is_gone_for_ever(homeserver: Homeserver, alice: Client) -> None:
    status, said = await confirmed(alice, "POST", "account/deactivate")
    assert (status, said) == (200, {"id_server_unbind_result": "success"})
    assert await errcode(alice) == GONE
    status, said = await homeserver.nobody().post("login", _login(alice.password))
    assert (status, said["errcode"]) == (403, "M_USER_DEACTIVATED")
    body = {"username": "alice", "password": NEW, "auth": {"type": "m.login.dummy"}}
    status, said = await homeserver.nobody().post("register", body)
    assert (status, said["errcode"]) == (400, "M_USER_IN_USE")


async def test_a_deactivated_user_leaves_all_rooms(
    homeserver: Homeserver, alice: Client, bob: Client
) -> None:
    joined, invited = [await alice.create_room(preset="public_chat") for _ in range(2)]
    await bob.join(joined)
    await alice.invite(invited, bob)
    await confirmed(bob, "POST", "account/deactivate", {"erase": True})
    await asyncio.gather(*homeserver.tenant.logins.tasks)
    for room in (joined, invited):
        assert (await alice.state(room, "m.room.member", bob.user_id))["membership"] == "leave"
    async with homeserver.tenant.database.read() as tx:
        row = await tx.fetchrow("SELECT leaving, erased FROM users WHERE user_id = $1", bob.user_id)
    assert row is not None
    assert (row["leaving"], row["erased"]) == (False, True)


async def test_a_user_goes_on_leaving_after_a_restart(make_homeserver: MakeHomeserver) -> None:
    one = await make_homeserver()
    alice, bob = await one.user("alice"), await one.user("bob")
    room = await alice.create_room(preset="public_chat")
    await bob.join(room)
    # As a process leaves it that is killed between the two.
    async with one.tenant.database.read() as tx:
        await tx.execute(
            "UPDATE users SET deactivated = true, leaving = true WHERE user_id = $1", bob.user_id
        )
    two = await make_homeserver(beside=one)
    await asyncio.gather(*two.tenant.logins.tasks)
    there = Client(two.session, two.url, access_token=alice.access_token)
    assert (await there.state(room, "m.room.member", bob.user_id))["membership"] == "leave"


async def test_a_locked_user_can_do_nothing_but_log_out(homeserver: Homeserver, alice: Client) -> None:
    phone = await alice.log_in()
    user_id = UserID(alice.user_id)
    await set_standing(homeserver.tenant, user_id, locked=True, suspended=False)
    assert await errcode(alice) == (401, "M_USER_LOCKED", True)
    status, said = await homeserver.nobody().post("login", _login(alice.password))
    assert (status, said["errcode"]) == (401, "M_USER_LOCKED")
    assert await phone.post("logout") == (200, {})
    # «tokens stay valid»
    await set_standing(homeserver.tenant, user_id, locked=False, suspended=False)
    assert (await alice.get("account/whoami"))[0] == 200
    assert await errcode(phone) == GONE


async def test_a_suspended_user_is_known_as_such(homeserver: Homeserver, alice: Client) -> None:
    tenant, claim = homeserver.tenant, Claim(str(alice.access_token))
    refuse_suspended(await authenticate(tenant, Who.USER, claim))
    await set_standing(tenant, UserID(alice.user_id), locked=False, suspended=True)
    with pytest.raises(UserSuspended):
        refuse_suspended(await authenticate(tenant, Who.USER, claim))
    assert (await alice.get("account/whoami"))[0] == 200


async def test_an_openid_token_shows_who_the_user_is(make_homeserver: MakeHomeserver) -> None:
    clock = FakeClock()
    homeserver = await make_homeserver(clock=clock)
    alice, bob = await homeserver.user("alice"), await homeserver.user("bob")
    status, said = await alice.post(f"user/{alice.user_id}/openid/request_token")
    assert (status, said["token_type"], said["matrix_server_name"]) == (200, "Bearer", "one.example")
    assert await user_of_openid_token(homeserver.tenant, said["access_token"]) == alice.user_id
    as_access = Client(homeserver.session, homeserver.url, access_token=said["access_token"])
    assert await errcode(as_access) == GONE
    clock.advance(HOUR)
    assert await user_of_openid_token(homeserver.tenant, said["access_token"]) is None
    assert (await bob.post(f"user/{alice.user_id}/openid/request_token"))[0] == 403


def _login(password: str) -> dict[str, Any]:
    return {"type": "m.login.password", "user": "alice", "password": password}
