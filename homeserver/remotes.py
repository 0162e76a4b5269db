"""The way to other servers, put together: names, connections, signatures, keys."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from federation.client.connections import Connections
from federation.client.discovery import Discovery
from federation.client.keyring import Keyring, OwnKeys
from federation.client.names import SystemNames
from federation.client.remotes import FederationRemotes
from federation.client.request import Requests
from federation.client.well_known import WellKnown
from homeserver.platform import Platform
from protocol.ids import ServerName
from protocol.signing import SigningKey, VerifyKey
from services.servers.key_store import KeyStore
from services.settings import Settings
from storage.database import Database


@asynccontextmanager
async def asking_others(
    settings: Settings, key: SigningKey, old: Sequence[VerifyKey], database: Database, platform: Platform
) -> AsyncIterator[FederationRemotes]:
    """Other servers can be asked; at the end all connections to them are closed."""
    name = ServerName(settings.server_name)
    system = None if platform.names else SystemNames()
    names = platform.names or system
    assert names is not None
    connections = Connections(settings.federation, names)
    well_known = WellKnown(connections, platform.clock)
    discovery = Discovery(names, well_known, platform.random)
    requests = Requests(name, key, discovery, connections, settings.federation.timeout)
    own = OwnKeys(name, {one.name: one for one in (*old, key.verify_key)})
    notaries = [ServerName(notary) for notary in settings.federation.notaries]
    keyring = Keyring(own, requests, KeyStore(database), platform.clock, notaries)
    try:
        yield FederationRemotes(requests, connections, keyring, platform.clock)
    finally:
        await keyring.close()
        await well_known.close()
        await connections.close()
        if system is not None:
            system.close()
