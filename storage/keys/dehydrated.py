"""Dehydrated devices (MSC3814): devices without a client, whose messages are kept until their user wakes them."""

from __future__ import annotations

from dataclasses import dataclass

from storage.database import Tx
from storage.statement import each, sql


@dataclass(frozen=True, slots=True)
class Dehydrated:
    """A user's dehydrated device, and the JSON object in which its client has packed it."""

    device_id: str
    device_data: bytes


_OF_USER = sql("SELECT device_id, device_data FROM dehydrated_devices WHERE user_id = $1")


async def dehydrated_of(tx: Tx, user_id: str) -> Dehydrated | None:
    """The user's dehydrated device; None where there is none."""
    row = await tx.fetchrow(_OF_USER, user_id)
    return None if row is None else Dehydrated(**row)


# Values: user ID, device ID, display name, time, device data; algorithms, key IDs and JSON of one-time keys; the same of
# fallback keys. The device's own keys are written after it, by SET_DEVICE_KEYS; an older device is deleted before it.
PUT_DEHYDRATED = each("""
    WITH device AS (
        INSERT INTO devices (user_id, device_id, display_name, created) VALUES ($2, $3, $4, $5)
    ), one_time AS (
        INSERT INTO one_time_keys (user_id, device_id, algorithm, key_id, json)
        SELECT $2, $3, n.* FROM unnest($7::text[], $8::text[], $9::bytea[]) AS n (algorithm, key_id, json)
    ), fallback AS (
        INSERT INTO fallback_keys (user_id, device_id, algorithm, key_id, json)
        SELECT $2, $3, n.* FROM unnest($10::text[], $11::text[], $12::bytea[]) AS n (algorithm, key_id, json)
    )
    INSERT INTO dehydrated_devices (user_id, device_id, device_data) SELECT $2, $3, $6 WHERE $1::bigint IS NOT NULL
    ON CONFLICT (user_id) DO UPDATE SET device_id = excluded.device_id, device_data = excluded.device_data
""")
