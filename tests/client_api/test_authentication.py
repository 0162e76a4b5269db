"""What an access token costs, and how soon its end is known everywhere."""

import asyncio
from typing import Any

import pytest

from protocol.ids import UserID
from services.accounts import logins
from services.accounts.standing import set_standing
from services.settings import MINUTE, Accounts
from tests.client_api.uia import confirmed
from tests.fixtures.client import Client
from tests.fixtures.homeserver import Homeserver, MakeHomeserver
from tests.fixtures.time import FakeClock


def at(homeserver: Homeserver, client: Client) -> Client:
    """The same device, asking another process."""
    return Client(homeserver.session, homeserver.url, client.user_id, access_token=client.access_token)


async def status_of(client: Client) -> int:
    return (await client.get("account/whoami"))[0]


async def test_a_warm_request_asks_the_database_for_nothing(homeserver: Homeserver, alice: Client) -> None:
    await alice.get("account/whoami")
    before = homeserver.tenant.database.statements_run
    for _ in range(3):
        assert await status_of(alice) == 200
    assert homeserver.tenant.database.statements_run == before


async def test_a_token_is_looked_up_again_after_some_minutes(make_homeserver: MakeHomeserver) -> None:
    clock = FakeClock()
    homeserver = await make_homeserver(clock=clock)
    alice = await homeserver.user("alice")
    assert await status_of(alice) == 200
    async with homeserver.tenant.database.read() as tx:
        await tx.execute("DELETE FROM access_tokens")
    assert await status_of(alice) == 200
    clock.advance(5 * MINUTE)
    assert await status_of(alice) == 401


async def test_the_least_used_tokens_make_room(
    homeserver: Homeserver, alice: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logins, "CAPACITY", 2)
    devices = [await alice.log_in() for _ in range(3)]
    for client in (devices[0], devices[1], devices[0], devices[2]):
        await client.get("account/whoami")
    before = homeserver.tenant.database.statements_run
    await devices[0].get("account/whoami")
    assert homeserver.tenant.database.statements_run == before
    await devices[1].get("account/whoami")
    assert homeserver.tenant.database.statements_run > before


@pytest.fixture
async def two_processes(make_homeserver: MakeHomeserver, redis_url: str) -> tuple[Homeserver, Homeserver]:
    one = await make_homeserver(redis_url=redis_url)
    return one, await make_homeserver(redis_url=redis_url, beside=one)


async def until_refused(client: Client) -> Any:
    """The error, as soon as the process has heard of it."""
    async with asyncio.timeout(5):
        while True:
            status, said = await client.get("account/whoami")
            if status != 200:
                return said["errcode"]


async def test_a_token_that_dies_in_one_process_is_dead_in_the_others(
    two_processes: tuple[Homeserver, Homeserver],
) -> None:
    one, two = two_processes
    alice = await one.user("alice")
    for end in ("logout", "deletion", "taking over"):
        phone = await alice.log_in(device_id="PHONE")
        assert await status_of(at(two, phone)) == 200
        match end:
            case "logout":
                await phone.post("logout")
            case "deletion":
                await confirmed(alice, "DELETE", "devices/PHONE")
            case _:
                await alice.log_in(device_id="PHONE")
        assert await status_of(phone) == 401
        assert await until_refused(at(two, phone)) == "M_UNKNOWN_TOKEN"


async def test_a_user_locked_in_one_process_is_locked_in_the_others(
    two_processes: tuple[Homeserver, Homeserver],
) -> None:
    one, two = two_processes
    alice = await one.user("alice")
    assert await status_of(at(two, alice)) == 200
    await set_standing(one.tenant, UserID(alice.user_id), locked=True, suspended=False)
    assert await until_refused(at(two, alice)) == "M_USER_LOCKED"


async def test_a_token_in_the_query_is_taken_where_that_is_wanted(make_homeserver: MakeHomeserver) -> None:
    for accounts, status in ((Accounts(), 200), (Accounts(token_in_query=False), 401)):
        homeserver = await make_homeserver(f"{status}.example", accounts=accounts)
        alice, asked = await homeserver.user("alice"), "account/whoami?access_token="
        assert (await homeserver.nobody().get(f"{asked}{alice.access_token}"))[0] == status
        assert (await alice.get(f"{asked}other"))[0] == 200  # the header's is what counts
        versions = await homeserver.nobody().get(
            f"/_matrix/client/versions?access_token={alice.access_token}"
        )
        assert versions[0] == 200
