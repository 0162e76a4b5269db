"""An application service of a server with several processes: one of them delivers, whichever hears of something."""

from __future__ import annotations

from tests.appservices.conftest import MakeBridge
from tests.fixtures.homeserver import MakeHomeserver


async def test_what_happens_in_one_process_is_delivered_by_the_other(
    make_bridge: MakeBridge, make_homeserver: MakeHomeserver, redis_url: str
) -> None:
    bridge = await make_bridge(redis_url=redis_url, registration={"receive_ephemeral": True})
    service = bridge.appservice
    other = await make_homeserver(beside=bridge.homeserver, redis_url=redis_url)
    alice, ghost = await bridge.homeserver.user("alice"), await bridge.ghost("_irc_carol")
    room = await alice.create_room(preset="public_chat")
    await ghost.join(room)
    there = await alice.log_in()
    there.session, there.url = other.session, other.url
    for number in range(10):
        await (there if number % 2 else alice).send(room, f"number {number}")
    await there.ok("PUT", f"rooms/{room}/typing/{alice.user_id}", json={"typing": True})

    def typing() -> bool:
        told = [event for _, body in service.transactions for event in body["ephemeral"]]
        return any(event["content"].get("user_ids") == [alice.user_id] for event in told)

    await service.until(lambda: len(service.bodies()) == 10 and typing())
    assert service.bodies() == [f"number {number}" for number in range(10)]
    assert len({txn_id for txn_id, _ in service.transactions}) == len(service.transactions)
    assert len({txn_id.partition("-")[0] for txn_id, _ in service.transactions}) == 1
