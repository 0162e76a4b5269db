"""The keys of other servers that we know: in memory for servers that we hear of often, and in PostgreSQL for ever."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from protocol.ids import ServerName
from storage.database import Database
from storage.servers.keys import StoredKey, keep_keys, keys_of

MAX_SERVERS = 5_000
"""Whose keys are kept in memory."""

Keys = Mapping[str, StoredKey]
"""By key ID."""
KnownKeys = dict[ServerName, Keys]


class KeyStore:
    """Keys by server and key ID."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._memory: OrderedDict[ServerName, Keys] = OrderedDict()

    async def known(self, servers: Collection[ServerName]) -> KnownKeys:
        """All that is known of these servers; those of which nothing is known are left out."""
        found = {server: self._memory[server] for server in servers if server in self._memory}
        missing = [server for server in servers if server not in found]
        if missing:
            read = await self._read(missing)
            self._remember(read)
            found |= read
        for server in found:
            if server in self._memory:
                self._memory.move_to_end(server)
        return found

    async def keep(self, keys: Sequence[StoredKey], *, said_by_itself: bool) -> None:
        """Keeps the keys of one object; those that came through a notary only where they are newer."""
        async with self._database.transaction() as tx:
            await keep_keys(tx, keys, said_by_itself=said_by_itself)
        self._remember(await self._read([keys[0].server_name]))

    async def _read(self, servers: Collection[ServerName]) -> KnownKeys:
        async with self._database.read() as tx:
            rows = await keys_of(tx, servers)
        found: dict[ServerName, dict[str, StoredKey]] = {}
        objects: dict[bytes, bytes] = {}
        for row in rows:
            key = replace(row, json=objects.setdefault(row.json, row.json))  # one copy of each
            found.setdefault(key.server_name, {})[key.key_id] = key
        return dict(found)

    def _remember(self, read: KnownKeys) -> None:
        for server, keys in read.items():
            self._memory[server] = keys
            self._memory.move_to_end(server)
        while len(self._memory) > MAX_SERVERS:
            self._memory.popitem(last=False)
