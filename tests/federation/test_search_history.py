"""History that was fetched from another server is found like what arrived live."""

from __future__ import annotations

from services.search.index import index_step
from tests.client_api.searching import found
from tests.federation.plays import join_through, public_room
from tests.federation.test_backfill import read_back
from tests.fixtures.federation import MakeFederated


async def test_history_of_another_server_is_found_once_it_was_fetched(make_federated: MakeFederated) -> None:
    one, two = await make_federated(), await make_federated()
    alice, bob = await one.user("alice"), await two.user("bob")
    room_id = await public_room(alice)
    sent = [await alice.send(room_id, f"cake {number}") for number in range(60)]
    gone = await alice.send(room_id, "cake that is taken back")
    await alice.redact(room_id, gone)
    await join_through(bob, room_id, one)
    await read_back(bob, room_id)
    step = None
    while step is None or not step.is_last:  # nobody who searches waits for history
        step = await index_step(two.tenant)
    assert await found(bob, "cake", filter={"limit": 100}) == sent[::-1]
