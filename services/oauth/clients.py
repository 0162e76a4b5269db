"""Clients: how they register themselves, and what is known of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit

import orjson

from services.oauth.metadata import checked_metadata, is_loopback
from services.settings import DAY
from services.tenant import Tenant
from storage.database import Tx
from storage.oauth.clients import drop_unused_clients, get_client, register_client

MOST = 10_000  # clients; beyond, those without a session that were used longest ago go
UNUSED = 30 * DAY
ID_LENGTH = 32


@dataclass(frozen=True, slots=True)
class Client:
    """A registered client; all are public ones, so that its ID proves nothing."""

    client_id: str
    metadata: Mapping[str, Any]

    @property
    def name(self) -> str:
        """What users are shown."""
        return str(self.metadata["client_name"])

    @property
    def host(self) -> str:
        """Whose client it says it is."""
        return urlsplit(self.metadata["client_uri"]).hostname or ""

    def has_grant(self, grant: str) -> bool:
        """Did it say that it would use this grant?"""
        return grant in self.metadata["grant_types"]

    def has_redirect_uri(self, uri: str) -> bool:
        """Is it one of the client's, to the letter? «The port is ignored» of those on the user's own machine."""
        registered = self.metadata["redirect_uris"]
        return uri in registered or _without_port(uri) in registered


def _without_port(uri: str) -> str | None:
    """A loopback URI without its port; None for all others."""
    try:
        parts = urlsplit(uri)
        if not is_loopback(parts) or parts.port is None or "@" in parts.netloc:
            return None
    except ValueError:
        return None
    return parts._replace(netloc=parts.netloc.rpartition(":")[0]).geturl()


async def register(tenant: Tenant, said: Mapping[str, Any]) -> Client:
    """The client of this metadata, the same one for the same metadata; raises OAuthError."""
    metadata = checked_metadata(said)
    json = orjson.dumps(metadata, option=orjson.OPT_SORT_KEYS)
    client_id = sha256(f"{tenant.name}\0".encode() + json).hexdigest()[:ID_LENGTH]
    now = tenant.clock.now()
    async with tenant.database.transaction() as tx:
        await register_client(tx, client_id, json, now)
        await drop_unused_clients(tx, now - UNUSED, MOST)
    return Client(client_id, metadata)


async def find_client(tx: Tx, client_id: str) -> Client | None:
    """The client of the ID."""
    json = None if "\0" in client_id else await get_client(tx, client_id)
    return None if json is None else Client(client_id, orjson.loads(json))
