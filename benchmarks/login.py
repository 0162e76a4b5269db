"""A login with a password, Argon2id at the default cost."""

from __future__ import annotations

from typing import Any

from benchmarks.http import Connection
from benchmarks.measure import HEADER, Cost, measure
from benchmarks.peers import Server, hearth, synapse


async def _cost(server: Server, operations: int) -> Cost:
    for number in range(10):
        await server.user(f"login{number}")
    connections = [Connection(server.port) for _ in range(4)]

    async def login(me: int, number: int) -> None:
        who = {"type": "m.id.user", "user": f"login{number % 10}"}
        body = {"type": "m.login.password", "identifier": who, "password": "password"}
        await connections[me].ok("POST", "/_matrix/client/v3/login", body)

    cost = await measure(server, operations, 4, login)
    print(cost.row(server.name))
    return cost


async def run(peer: bool, scale: float) -> dict[str, Any]:
    """Prints the table and returns the figures."""
    print(HEADER)
    async with hearth(cheap_passwords=False) as server:
        figures: dict[str, Any] = {"hearth": (await _cost(server, int(200 * scale) + 4)).figures()}
    if peer:
        async with synapse() as server:
            figures["synapse"] = (await _cost(server, int(40 * scale) + 4)).figures()
    return figures
