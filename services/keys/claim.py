"""Hands out one-time keys to those who want to begin a conversation with a device (§Key management API)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from orjson import Fragment

from protocol.ids import UserID, server_of
from services.appservices.keys import claim_from_appservices, gives_keys
from services.keys.device_lists import key_counts_changed
from services.keys.names import checked_name
from services.keys.remote_claim import claim_from_servers
from services.tenant import Tenant
from storage.database import Tx
from storage.keys.fallback_keys import use_fallback_keys
from storage.keys.one_time_keys import OneTimeKey, Wanted, take_one_time_keys

Claims = Mapping[UserID, Mapping[str, str]]
"""User ID -> device ID -> algorithm."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """The keys, user ID -> device ID -> key ID -> key; and the servers that could not be asked."""

    one_time_keys: dict[str, dict[str, dict[str, Fragment]]]
    failures: dict[str, dict[str, str]] = field(default_factory=dict)

    def add(self, of: Wanted, key_id: str, json: bytes) -> None:
        """A key for this device."""
        devices = self.one_time_keys.setdefault(of.user_id, {})
        devices.setdefault(of.device_id, {})[key_id] = Fragment(json)


async def claim_keys(tenant: Tenant, claims: Claims) -> Claimed:
    """A one-time key for each device, or its fallback key; devices that have none of the algorithm are left out."""
    wanted = [
        Wanted(user_id, checked_name(device_id, "A device ID"), checked_name(algorithm, "An algorithm"))
        for user_id, devices in claims.items()
        for device_id, algorithm in devices.items()
    ]
    local = [of for of in wanted if server_of(of.user_id) == tenant.name]
    remote = [of for of in wanted if server_of(of.user_id) != tenant.name]
    found = await _take(tenant, local) if local else {}
    claimed = Claimed({})
    for of, key in found.items():
        claimed.add(of, f"{key.algorithm}:{key.key_id}", key.json)
    if remote:
        keys, failures = await claim_from_servers(tenant, remote)
        claimed.failures.update(failures)
        for of, (key_id, json) in keys.items():
            claimed.add(of, key_id, json)
    return claimed


async def _take(tenant: Tenant, wanted: list[Wanted]) -> dict[Wanted, OneTimeKey]:
    """What is here; between the one-time keys and the fallback keys application services are asked."""
    asked = [of for of in wanted if gives_keys(tenant, of.user_id) is not None]
    async with tenant.database.transaction() as tx:
        found = await take_one_time_keys(tx, wanted)
        fewer = {of.user_id for of in found}
        missing = [of for of in wanted if of not in found and of not in asked]
        fresh = await _fall_back(tx, missing, found)
    asked = [of for of in asked if of not in found]
    if asked:
        found |= await claim_from_appservices(tenant, asked)
        async with tenant.database.transaction() as tx:
            fresh |= await _fall_back(tx, [of for of in asked if of not in found], found)
    if fewer | fresh:
        await key_counts_changed(tenant, *(fewer | fresh))
    return found


async def _fall_back(tx: Tx, missing: list[Wanted], found: dict[Wanted, OneTimeKey]) -> set[str]:
    """Adds fallback keys to what was found; the users of whom one was used for the first time."""
    if not missing:
        return set()
    fallback, fresh = await use_fallback_keys(tx, missing)
    found |= fallback
    return {of.user_id for of in fresh}
