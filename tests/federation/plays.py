"""What plays between homeservers have in common: rooms of a version, and what each server makes of them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.client_api.stored import membership, path, state_of
from tests.fixtures.client import Client
from tests.fixtures.homeserver import Homeserver

VERSIONS = pytest.mark.parametrize("version", ["1", "6", "10", "11", "12"])

__all__ = [
    "VERSIONS",
    "join_through",
    "membership",
    "path",
    "public_room",
    "refusal",
    "same_state",
    "stripped",
]


async def public_room(creator: Client, version: str = "11", **more: Any) -> str:
    """A room that anybody may join."""
    return await creator.create_room(preset="public_chat", room_version=version, **more)


async def join_through(client: Client, room_id: str, *servers: Homeserver) -> None:
    """Joins by ID with servers named."""
    via = "&".join(f"via={server.name}" for server in servers)
    await client.ok("POST", f"{path(room_id, 'join')}?{via}", json={})


async def refusal(client: Client, room_id: str, what: str, *servers: Homeserver) -> tuple[int, str]:
    """Status and error code of a membership request."""
    via = "&".join(f"via={server.name}" for server in servers)
    status, said = await client.post(f"{path(room_id, what)}?{via}", {})
    return status, said.get("errcode", "")


async def same_state(room_id: str, *servers: Homeserver) -> dict[tuple[str, str], dict[str, Any]]:
    """The room's state, which must be the same on all of the servers."""
    states = [await state_of(server, room_id) for server in servers]
    assert all(state == states[0] for state in states), states
    return states[0]


async def stripped(homeserver: Homeserver, room_id: str, client: Client) -> dict[str, dict[str, Any]]:
    """What a user who is not in the room was shown of it, by type."""
    row = await membership(homeserver, room_id, client.user_id)
    return {event["type"]: event for event in row["stripped"]}
