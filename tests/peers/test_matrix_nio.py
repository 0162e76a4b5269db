"""matrix-nio: two people talk, arrange rooms, show themselves and set their accounts; each sees what the other did."""

from __future__ import annotations

from pathlib import Path

from tests.fixtures.live import live_server
from tests.peers import nio_accounts, nio_rooms, nio_talking
from tests.peers.nio_person import counted, registered

CHECKS = 163
"""So many are made; 59 are asked for, in this file and the next."""


async def test_the_whole_conversation(tmp_path: Path) -> None:
    async with live_server(tmp_path / "server", "--open-registration") as server:
        with counted(CHECKS) as checks:
            alice = await registered(server.url, "alice", checks)
            bob = await registered(server.url, "bob", checks)
            try:
                await nio_talking.converse(alice, bob)
                await nio_rooms.arrange(alice, bob)
                await nio_accounts.settle(server.url, alice, bob)
            finally:
                await alice.client.close()
                await bob.client.close()
