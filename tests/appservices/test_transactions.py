"""What application services are told, in which order, and that nothing of it is lost (§Pushing events)."""

from __future__ import annotations

import pytest

from tests.appservices.conftest import Bridge, MakeBridge
from tests.fixtures.appservice import HS_TOKEN
from tests.fixtures.client import Client
from tests.fixtures.homeserver import Homeserver, MakeHomeserver
from tests.fixtures.time import FakeClock


async def portal(bridge: Bridge, alice: Client, ghost: Client) -> str:
    """A room of alice's with a ghost in it."""
    room = await alice.create_room(preset="public_chat")
    await ghost.join(room)
    return room


async def test_it_is_told_what_happens_where_its_users_are(bridge: Bridge) -> None:
    alice, ghost = await bridge.homeserver.user("alice"), await bridge.ghost("_irc_carol")
    elsewhere = await alice.create_room()
    room = await portal(bridge, alice, ghost)
    await alice.send(elsewhere, "not for bridges")
    event_id = await alice.send(room, "hello")
    await ghost.send(room, "hello yourself")
    await bridge.appservice.until(lambda: len(bridge.appservice.bodies()) == 2)
    events = bridge.appservice.events()
    assert {event["room_id"] for event in events} == {room}
    assert events[0]["state_key"] == ghost.user_id
    assert bridge.appservice.bodies() == ["hello", "hello yourself"]
    said = next(event for event in events if event["event_id"] == event_id)
    assert (said["sender"], said["content"]["body"]) == (alice.user_id, "hello")
    assert said["unsigned"]["age"] >= 0
    assert "transaction_id" not in said["unsigned"]
    assert set(bridge.appservice.headers) == {f"Bearer {HS_TOKEN}"}


async def test_nothing_is_sent_of_what_was_before_a_ghost_came(bridge: Bridge) -> None:
    alice, ghost = await bridge.homeserver.user("alice"), await bridge.ghost("_irc_carol")
    room = await alice.create_room(preset="public_chat")
    await alice.send(room, "before")
    await ghost.join(room)
    await alice.send(room, "while")
    await ghost.leave(room)
    await alice.send(room, "after")
    await ghost.join(room)
    await alice.send(room, "again")
    await bridge.appservice.until(lambda: "again" in bridge.appservice.bodies())
    assert bridge.appservice.bodies() == ["while", "again"]


async def test_an_invite_of_a_ghost_is_told_before_it_is_in_the_room(bridge: Bridge) -> None:
    alice, ghost = await bridge.homeserver.user("alice"), await bridge.ghost("_irc_carol")
    room = await alice.create_room(name="Tea")
    await alice.invite(room, ghost)
    [invite] = await bridge.appservice.until(bridge.appservice.events)
    assert (invite["state_key"], invite["content"]["membership"]) == (ghost.user_id, "invite")
    shown = {event["type"]: event for event in invite["unsigned"]["invite_room_state"]}
    assert shown["m.room.name"]["content"] == {"name": "Tea"}


async def test_transactions_are_tried_again_with_the_same_content_and_in_order(
    make_bridge: MakeBridge,
) -> None:
    clock = FakeClock()
    bridge = await make_bridge(clock=clock)
    service = bridge.appservice
    service.clock = clock
    alice, ghost = await bridge.homeserver.user("alice"), await bridge.ghost("_irc_carol")
    room = await portal(bridge, alice, ghost)
    await service.until(service.events)
    service.status = 500
    service.transactions.clear()
    service.times.clear()
    await alice.send(room, "one")
    await service.until(lambda: service.transactions)
    for number in range(3):
        await alice.send(room, f"later {number}")
    await service.while_time_passes(lambda: len(service.transactions) == 5)
    pauses = [after - before for before, after in zip(service.times, service.times[1:], strict=False)]
    assert all(
        most >= pause >= least
        for pause, least, most in zip(pauses, (1000, 2000, 4000, 8000), (2500, 3500, 5500, 9500), strict=True)
    ), pauses
    service.status = 200
    await service.while_time_passes(lambda: "later 2" in service.bodies())
    assert len({(txn_id, str(body)) for txn_id, body in service.transactions[:6]}) == 1
    assert service.bodies() == ["one", "later 0", "later 1", "later 2"]
    assert [str(one) for one in bridge.homeserver.observed if "irc" in str(one)] == [
        "application service irc: it answers 500; it will be tried again",
        "application service irc is back",
    ]


PING = "/_matrix/client/v1/appservice/irc/ping"


async def test_what_happened_while_it_was_away_comes_later(bridge: Bridge) -> None:
    service = bridge.appservice
    alice, ghost = await bridge.homeserver.user("alice"), await bridge.ghost("_irc_carol")
    room = await portal(bridge, alice, ghost)
    await service.until(service.events)
    await service.stop()
    for number in range(250):
        await alice.send(room, f"number {number}")
    await ghost.leave(room)
    await alice.send(room, "nobody's business")
    await service.start()
    # It says itself that it is back: otherwise it would be left alone for up to five minutes.
    await bridge.as_user("_irc_bot").ok("POST", PING, json={})
    await service.until(lambda: service.events()[-1]["type"] == "m.room.member" and service.bodies())
    assert service.bodies() == [f"number {number}" for number in range(250)]
    assert service.events()[-1]["content"]["membership"] == "leave"
    assert max(len(body["events"]) for _, body in service.transactions) <= 100
    ids = [event["event_id"] for event in service.events()]
    assert len(ids) == len(set(ids))


async def test_a_transaction_is_bounded_in_bytes_too(bridge: Bridge) -> None:
    service = bridge.appservice
    alice, ghost = await bridge.homeserver.user("alice"), await bridge.ghost("_irc_carol")
    room = await portal(bridge, alice, ghost)
    await service.until(service.events)
    await service.stop()
    for number in range(40):
        await alice.send(room, str(number) + "x" * 50_000)
    await service.start()
    await bridge.as_user("_irc_bot").ok("POST", PING, json={})
    await service.until(lambda: len(service.bodies()) == 40)
    assert [body.rstrip("x") for body in service.bodies()] == [str(number) for number in range(40)]
    sizes = [sum(len(str(event)) for event in body["events"]) for _, body in service.transactions]
    assert max(sizes) < 1_200_000


async def test_another_process_goes_on_with_the_same_transaction(
    make_bridge: MakeBridge, make_homeserver: MakeHomeserver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.appservices.deliver.RENEWED", 0.1)
    bridge = await make_bridge()
    service = bridge.appservice
    alice, ghost = await bridge.homeserver.user("alice"), await bridge.ghost("_irc_carol")
    room = await portal(bridge, alice, ghost)
    await service.until(service.events)
    service.status = 500
    await alice.send(room, "one")
    await service.until(lambda: "one" in service.bodies())
    in_flight = service.transactions[-1]
    await alice.send(room, "two")
    async with bridge.homeserver.tenant.database.read() as tx:  # as if the process had died
        await tx.execute("UPDATE appservices SET holder = 'dead', held_until = now() - interval '1 second'")
    service.transactions.clear()
    service.status = 200
    await make_homeserver(beside=bridge.homeserver)
    await service.until(lambda: service.bodies() == ["one", "two"])
    assert service.transactions[0] == in_flight


async def test_a_registration_that_is_new_hears_nothing_of_the_past(
    make_homeserver: MakeHomeserver, make_bridge: MakeBridge
) -> None:
    bridge = await make_bridge(registration={"namespaces": {"rooms": [{"exclusive": False, "regex": "!.*"}]}})
    alice = await bridge.homeserver.user("alice")
    room = await alice.create_room()
    await alice.send(room, "hello")
    await bridge.appservice.until(bridge.appservice.bodies)
    assert bridge.appservice.events()[0]["type"] == "m.room.create"


async def test_where_nothing_is_of_interest_nothing_is_asked_of_the_database(
    bridge: Bridge, make_homeserver: MakeHomeserver
) -> None:
    async def statements(homeserver: Homeserver) -> int:
        alice = await homeserver.user("alice")
        room = await alice.create_room()
        for _ in range(10):
            await alice.send(room, "warm")
        before = homeserver.tenant.database.statements_run
        for _ in range(20):
            await alice.send(room, "hot")
        return homeserver.tenant.database.statements_run - before

    without = await statements(await make_homeserver("two.example"))
    # Once in six seconds, the process says that it still delivers.
    assert await statements(bridge.homeserver) - without <= 1
    assert bridge.appservice.transactions == []
