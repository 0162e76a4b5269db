"""Accounts made with the shared secret, as provisioning tools do it."""

import hmac
from hashlib import sha1
from typing import Any

import pytest

from services.settings import MINUTE, Registration, RegistrationMode
from tests.fixtures.client import Client
from tests.fixtures.homeserver import PASSWORD, Homeserver, MakeHomeserver
from tests.fixtures.time import FakeClock

PATH = "/_synapse/admin/v1/register"
SECRET = "a shared secret"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def homeserver(make_homeserver: MakeHomeserver, clock: FakeClock) -> Homeserver:
    registration = Registration(RegistrationMode.CLOSED, shared_secret=SECRET)
    return await make_homeserver(registration=registration, clock=clock)


async def nonce(homeserver: Homeserver) -> str:
    return str((await homeserver.nobody().get(PATH))[1]["nonce"])


def signed(nonce: str, username: str = "alice", secret: str = SECRET, **more: Any) -> dict[str, Any]:
    parts = [nonce, username, PASSWORD, "admin" if more.get("admin") else "notadmin"]
    parts += [more["user_type"]] if "user_type" in more else []
    mac = hmac.new(secret.encode(), "\0".join(parts).encode(), sha1).hexdigest()
    return {"nonce": nonce, "username": username, "password": PASSWORD, "mac": mac} | more


@pytest.mark.parametrize("more", [{}, {"admin": True}, {"admin": False}, {"user_type": "bot"}])
async def test_a_tool_makes_an_account(homeserver: Homeserver, more: dict[str, Any]) -> None:
    status, said = await homeserver.nobody().post(PATH, signed(await nonce(homeserver), **more))
    assert (status, said["user_id"], said["home_server"]) == (200, "@alice:one.example", "one.example")
    alice = Client(homeserver.session, homeserver.url, said["user_id"], access_token=said["access_token"])
    assert (await alice.get("account/whoami"))[1]["device_id"] == said["device_id"]
    await alice.log_in(PASSWORD)
    async with homeserver.tenant.database.read() as tx:
        assert await tx.fetchval("SELECT is_admin FROM users") is more.get("admin", False)


async def test_a_tool_that_does_not_know_the_secret_is_refused(homeserver: Homeserver) -> None:
    body = signed(await nonce(homeserver), secret="a guess")
    status, said = await homeserver.nobody().post(PATH, body)
    assert (status, said["errcode"]) == (403, "M_FORBIDDEN")
    # What was signed for a user does not make an administrator.
    body = signed(await nonce(homeserver)) | {"admin": True}
    assert (await homeserver.nobody().post(PATH, body))[0] == 403


async def test_a_nonce_is_good_for_a_minute(homeserver: Homeserver, clock: FakeClock) -> None:
    body = signed(await nonce(homeserver))
    clock.advance(MINUTE + 1)
    assert (await homeserver.nobody().post(PATH, body))[0] == 400


@pytest.mark.parametrize("wrong", ["", "made up", "a.1.b", "...", "a.x." + "0" * 64])
async def test_a_nonce_cannot_be_made_up(homeserver: Homeserver, wrong: str) -> None:
    assert (await homeserver.nobody().post(PATH, signed(wrong)))[0] == 400


async def test_an_account_is_made_once(homeserver: Homeserver) -> None:
    body = signed(await nonce(homeserver))
    assert (await homeserver.nobody().post(PATH, body))[0] == 200
    status, said = await homeserver.nobody().post(PATH, body)
    assert (status, said["errcode"]) == (400, "M_USER_IN_USE")


async def test_without_a_shared_secret_there_is_nothing(make_homeserver: MakeHomeserver) -> None:
    homeserver = await make_homeserver()
    for answer in (
        await homeserver.nobody().get(PATH),
        await homeserver.nobody().post(PATH, signed("x")),
    ):
        assert (answer[0], answer[1]["errcode"]) == (404, "M_UNRECOGNIZED")
