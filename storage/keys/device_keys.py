"""The identity keys of devices."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from storage.database import Tx
from storage.statement import each, sql


@dataclass(frozen=True, slots=True)
class StoredDeviceKeys:
    """The keys as the device uploaded them (JSON), and the device's name."""

    user_id: str
    device_id: str
    json: bytes
    display_name: str | None


_OF_DEVICES = sql("""
    SELECT k.user_id, k.device_id, k.json, d.display_name
    FROM unnest($1::text[], $2::text[]) AS w (user_id, device_id)
    JOIN device_keys AS k ON k.user_id = w.user_id AND (w.device_id IS NULL OR k.device_id = w.device_id)
    LEFT JOIN devices AS d ON d.user_id = k.user_id AND d.device_id = k.device_id
""")


async def device_keys_of(tx: Tx, wanted: Collection[tuple[str, str | None]]) -> list[StoredDeviceKeys]:
    """The keys of these (user, device), where None stands for all devices of the user; devices without keys are missing."""
    users, devices = [user_id for user_id, _ in wanted], [device_id for _, device_id in wanted]
    return [StoredDeviceKeys(**row) for row in await tx.fetch(_OF_DEVICES, users, devices)]


# Values: user ID, device ID, JSON, whether what is signed has changed: then older signatures are worth nothing. A
# device that has been deleted meanwhile gets no keys.
SET_DEVICE_KEYS = each("""
    WITH outdated AS (
        DELETE FROM key_signatures WHERE target = $2 AND target_key = $3 AND $5::boolean
    )
    INSERT INTO device_keys (user_id, device_id, json)
    SELECT user_id, device_id, $4 FROM devices
    WHERE user_id = $2 AND device_id = $3 AND $1::bigint IS NOT NULL
    ON CONFLICT (user_id, device_id) DO UPDATE SET json = excluded.json
""")
