"""A user's devices: seen, named, and taken away."""

from typing import Any

import pytest

from services.settings import MINUTE, RateLimits
from storage import topics
from storage.feed import Subscriber
from tests.client_api.uia import by_password, confirmed
from tests.fixtures.client import Client
from tests.fixtures.homeserver import Homeserver, MakeHomeserver
from tests.fixtures.time import FakeClock


async def device_ids(client: Client) -> set[str]:
    return {device["device_id"] for device in (await client.get("devices"))[1]["devices"]}


async def is_logged_in(client: Client) -> bool:
    return (await client.get("account/whoami"))[0] == 200


async def test_devices_are_listed_with_what_is_known_of_them(alice: Client) -> None:
    await alice.log_in(device_id="PHONE", initial_device_display_name="My phone")
    devices = {device["device_id"]: device for device in (await alice.get("devices"))[1]["devices"]}
    assert set(devices) == {alice.device_id, "PHONE"}
    assert devices["PHONE"]["display_name"] == "My phone"
    assert devices["PHONE"]["last_seen_ip"] == "127.0.0.1"
    assert devices[alice.device_id]["display_name"] == ""
    assert await alice.get("devices/PHONE") == (200, devices["PHONE"])


async def test_a_device_is_renamed(alice: Client) -> None:
    path = f"devices/{alice.device_id}"
    assert await alice.put(path, {"display_name": "Tablet"}) == (200, {})
    assert await alice.put(path, {}) == (200, {})
    assert (await alice.get(path))[1]["display_name"] == "Tablet"


async def test_nobody_sees_or_names_the_devices_of_others(alice: Client, bob: Client) -> None:
    path = f"devices/{alice.device_id}"
    assert (await bob.get(path))[0] == 404
    assert (await bob.put(path, {"display_name": "Mine"}))[0] == 404
    assert (await bob.get("devices/none"))[1]["errcode"] == "M_NOT_FOUND"


async def test_a_device_is_deleted_when_the_password_was_given(alice: Client) -> None:
    phone = await alice.log_in(device_id="PHONE")
    assert await confirmed(alice, "DELETE", "devices/PHONE") == (200, {})
    assert await device_ids(alice) == {alice.device_id}
    assert not await is_logged_in(phone)


async def test_many_devices_are_deleted_at_once(alice: Client) -> None:
    clients = [await alice.log_in() for _ in range(3)]
    gone = {"devices": [client.device_id for client in clients[:2]]}
    assert await confirmed(alice, "POST", "delete_devices", gone) == (200, {})
    assert await device_ids(alice) == {alice.device_id, clients[2].device_id}
    assert [await is_logged_in(client) for client in clients] == [False, False, True]


async def test_a_wrong_password_deletes_nothing(alice: Client) -> None:
    await alice.log_in(device_id="PHONE")
    _, said = await alice.delete("devices/PHONE", json={})
    for wrong in ("wrong", "wrong again"):
        auth = by_password(alice, said["session"], wrong)
        status, answer = await alice.delete("devices/PHONE", json={"auth": auth})
        assert (status, answer["errcode"], answer["completed"]) == (401, "M_FORBIDDEN", [])
        assert answer["session"] == said["session"]
    assert "PHONE" in await device_ids(alice)


async def test_passwords_cannot_be_tried_at_will(make_homeserver: MakeHomeserver) -> None:
    homeserver = await make_homeserver(clock=FakeClock(), rate_limits=RateLimits())
    alice = await homeserver.user("alice")
    _, said = await alice.delete("devices/PHONE", json={})
    auth = by_password(alice, said["session"], "a guess")
    answers = [await alice.delete("devices/PHONE", json={"auth": auth}) for _ in range(11)]
    assert [status for status, _ in answers] == [401] * 10 + [429]
    assert answers[-1][1]["errcode"] == "M_LIMIT_EXCEEDED"


async def test_nobody_confirms_with_a_password_of_somebody_else(alice: Client, bob: Client) -> None:
    _, said = await alice.delete(f"devices/{alice.device_id}", json={})
    auth = by_password(bob, said["session"])
    status, answer = await alice.delete(f"devices/{alice.device_id}", json={"auth": auth})
    assert (status, answer["errcode"]) == (403, "M_FORBIDDEN")
    assert await is_logged_in(alice)


async def test_what_was_confirmed_for_one_device_is_not_for_another(alice: Client, bob: Client) -> None:
    _, said = await alice.delete("devices/ONE", json={})
    auth = by_password(alice, said["session"])
    for client, path in ((alice, "devices/TWO"), (bob, "devices/ONE")):
        status, answer = await client.delete(path, json={"auth": auth})
        assert (status, answer["errcode"]) == (403, "M_FORBIDDEN")
    status, answer = await alice.post("delete_devices", {"devices": ["ONE"], "auth": auth})
    assert (status, answer["errcode"]) == (403, "M_FORBIDDEN")


@pytest.mark.parametrize(
    ("body", "errcode"),
    [
        ({}, "M_MISSING_PARAM"),
        ({"devices": "PHONE"}, "M_BAD_JSON"),
        ({"devices": [1]}, "M_BAD_JSON"),
        ({"devices": ["a\0b"]}, "M_INVALID_PARAM"),
    ],
)
async def test_what_names_no_devices_is_refused(alice: Client, body: Any, errcode: str) -> None:
    status, said = await alice.post("delete_devices", body)
    assert (status, said["errcode"]) == (400, errcode)


TABLES = (
    "device_keys",
    "one_time_keys",
    "fallback_keys",
    "to_device",
    "pushers",
    "access_tokens",
    "refresh_tokens",
)


async def test_all_that_belongs_to_a_device_goes_with_it(homeserver: Homeserver, alice: Client) -> None:
    await alice.log_in(device_id="PHONE", refresh_token=True)
    async with homeserver.tenant.database.transaction() as tx:
        for statement in (
            "INSERT INTO device_keys (user_id, device_id, json) VALUES ($1, 'PHONE', '{}')",
            "INSERT INTO one_time_keys (user_id, device_id, algorithm, key_id, json) VALUES ($1, 'PHONE', 'a', 'k', '{}')",
            "INSERT INTO fallback_keys (user_id, device_id, algorithm, key_id, json) VALUES ($1, 'PHONE', 'a', 'k', '{}')",
            "INSERT INTO to_device (position, user_id, device_id, json) VALUES (1, $1, 'PHONE', '{}')",
            "INSERT INTO pushers (user_id, app_id, pushkey, device_id, created, json) VALUES ($1, 'a', 'k', 'PHONE', 1, '{}')",
        ):
            await tx.execute(statement, alice.user_id)
    await confirmed(alice, "DELETE", "devices/PHONE")
    async with homeserver.tenant.database.read() as tx:
        left = {
            table: await tx.fetchval(f"SELECT count(*) FROM {table} WHERE device_id = 'PHONE'")
            for table in TABLES
        }
    assert left == dict.fromkeys(TABLES, 0)


async def test_where_a_device_was_seen_is_written_seldom(make_homeserver: MakeHomeserver) -> None:
    clock = FakeClock()
    homeserver = await make_homeserver(clock=clock)
    alice = await homeserver.user("alice")
    begun = clock.now()

    async def written() -> int:
        async with homeserver.tenant.database.read() as tx:
            return int(await tx.fetchval("SELECT last_seen_ts FROM devices"))

    await alice.get("account/whoami")
    clock.advance(MINUTE - 1)
    await alice.get("account/whoami")
    assert await written() == begun
    # The user is shown what this process knows.
    assert (await alice.get("devices"))[1]["devices"][0]["last_seen_ts"] == clock.now()
    clock.advance(1)
    await alice.get("account/whoami")
    for task in list(homeserver.tenant.logins.tasks):
        await task
    assert await written() == clock.now()


async def test_a_new_name_of_a_device_is_shown_to_those_in_the_users_rooms(
    homeserver: Homeserver, alice: Client, bob: Client
) -> None:
    room = await alice.create_room(preset="public_chat")
    await bob.join(room)
    told: list[str] = []
    homeserver.tenant.feed.subscribe(Subscriber(lambda _, woken: told.extend(woken), lambda _: None))
    await alice.put(f"devices/{alice.device_id}", {"display_name": "Tablet"})
    assert {topics.device_lists(room), topics.device_lists(alice.user_id)} <= set(told)
