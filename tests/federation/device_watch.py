"""What clients know of others' devices when they ask only when they are told to; and what is so."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.fixtures.client import Client
from tests.sync.sliding_model import PATH

Json = dict[str, Any]
Known = dict[str, Any]
"""Of one user: the devices' keys and the cross-signing keys, without what servers add."""


async def known_to(client: Client, user_id: str) -> Known:
    """What the client is told when it asks for a user's keys."""
    found = await client.ok("POST", "keys/query", json={"device_keys": {user_id: []}})
    devices = {
        device_id: {name: value for name, value in keys.items() if name != "unsigned"}
        for device_id, keys in found["device_keys"].get(user_id, {}).items()
    }
    kinds = ("master_keys", "self_signing_keys")
    return {"devices": devices} | {kind: found.get(kind, {}).get(user_id) for kind in kinds}


@dataclass
class DeviceWatch:
    """A client that keeps what it was told of devices until its server says that they have changed, or have left."""

    client: Client
    is_sliding: bool
    since: str | None = None
    first: str | None = None
    known: dict[str, Known] = field(default_factory=dict)
    outdated: set[str] = field(default_factory=set)

    async def hear(self, *, is_lost: bool = False) -> None:
        """One more answer, applied unless it is lost; who has changed is asked for."""
        token, lists = await (self._slides() if self.is_sliding else self._syncs())
        if is_lost:
            return
        self.since, self.first = token, self.first or token
        for user_id in lists.get("left", ()):
            self.known.pop(user_id, None)
            self.outdated.discard(user_id)
        self.outdated |= set(lists.get("changed", ()))

    async def ask(self) -> None:
        """Asks for the keys of all who are outdated."""
        while self.outdated:
            user_id = self.outdated.pop()
            self.known[user_id] = await known_to(self.client, user_id)

    async def changes(self) -> set[str]:
        """Who has changed since the first answer, by /keys/changes."""
        params = {"from": self.first, "to": self.since}
        return set((await self.client.ok("GET", "keys/changes", params=params))["changed"])

    async def _syncs(self) -> tuple[str, Json]:
        params = {"timeout": 0} | ({"since": self.since} if self.since else {})
        said = await self.client.ok("GET", "sync", params=params)
        return said["next_batch"], said.get("device_lists", {})

    async def _slides(self) -> tuple[str, Json]:
        body = {"conn_id": "encryption", "extensions": {"e2ee": {"enabled": True}}}
        params = {"timeout": 0} | ({"pos": self.since} if self.since else {})
        said = await self.client.ok("POST", PATH, json=body, params=params)
        return said["pos"], said["extensions"]["e2ee"].get("device_lists", {})
