"""Hands out one-time keys to those who want to begin a conversation with a device (§Key management API)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from orjson import Fragment

from protocol.ids import UserID, server_of
from services.keys.device_lists import key_counts_changed
from services.keys.names import checked_name
from services.tenant import Tenant
from storage.keys.fallback_keys import use_fallback_keys
from storage.keys.one_time_keys import OneTimeKey, Wanted, take_one_time_keys

Claims = Mapping[UserID, Mapping[str, str]]
"""User ID -> device ID -> algorithm."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """The keys, user ID -> device ID -> key ID -> key; and the servers that could not be asked."""

    one_time_keys: dict[str, dict[str, dict[str, Fragment]]]
    failures: dict[str, dict[str, str]] = field(default_factory=dict)


async def claim_keys(tenant: Tenant, claims: Claims) -> Claimed:
    """A one-time key for each device, or its fallback key; devices that have none of the algorithm are left out."""
    local = {user_id: devices for user_id, devices in claims.items() if server_of(user_id) == tenant.name}
    wanted = [
        Wanted(user_id, checked_name(device_id, "A device ID"), checked_name(algorithm, "An algorithm"))
        for user_id, devices in local.items()
        for device_id, algorithm in devices.items()
    ]
    found = await _take(tenant, wanted) if wanted else {}
    claimed = Claimed({}, unreachable(tenant, claims))
    for of, key in found.items():
        devices_of = claimed.one_time_keys.setdefault(of.user_id, {})
        devices_of[of.device_id] = {f"{key.algorithm}:{key.key_id}": Fragment(key.json)}
    return claimed


def unreachable(tenant: Tenant, users: Iterable[UserID]) -> dict[str, dict[str, str]]:
    """The servers of those users who are not ours: as long as federation is off, none can be asked."""
    servers = {server_of(user_id) for user_id in users} - {tenant.name}
    return {server: {"errcode": "M_UNREACHABLE", "error": "Federation is off"} for server in servers}


async def _take(tenant: Tenant, wanted: list[Wanted]) -> dict[Wanted, OneTimeKey]:
    async with tenant.database.transaction() as tx:
        found = await take_one_time_keys(tx, wanted)
        fewer = {of.user_id for of in found}
        missing = [of for of in wanted if of not in found]
        if missing:
            fallback, fresh = await use_fallback_keys(tx, missing)
            found |= fallback
            fewer |= {of.user_id for of in fresh}
    if fewer:
        await key_counts_changed(tenant, *fewer)
    return found
