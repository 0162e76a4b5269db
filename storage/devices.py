"""Devices of local users."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from storage.database import Tx
from storage.statement import each, sql


@dataclass(frozen=True, slots=True)
class Device:
    """A device as its owner sees it; `last_seen_ts` may be some minutes old."""

    device_id: str
    display_name: str | None
    last_seen_ts: int | None
    last_seen_ip: str | None


@dataclass(frozen=True, slots=True)
class Seen:
    """When a device was last heard of, from where, and with what client."""

    at: int
    address: str
    user_agent: str


_DEVICES = sql("""
    SELECT device_id, display_name, last_seen_ts, last_seen_ip FROM devices WHERE user_id = $1 ORDER BY device_id
""")


async def get_devices(tx: Tx, user_id: str) -> list[Device]:
    """All devices of the user."""
    return [Device(**row) for row in await tx.fetch(_DEVICES, user_id)]


_DEVICE = sql("""
    SELECT device_id, display_name, last_seen_ts, last_seen_ip FROM devices WHERE user_id = $1 AND device_id = $2
""")


async def get_device(tx: Tx, user_id: str, device_id: str) -> Device | None:
    """One device of the user."""
    row = await tx.fetchrow(_DEVICE, user_id, device_id)
    return None if row is None else Device(**row)


_CLAIMED_BY_KEY = sql("""
    SELECT true FROM cross_signing_keys
    WHERE user_id = $1 AND position(convert_to('"ed25519:' || $2::text || '"', 'UTF8') IN json) > 0
""")


async def is_cross_signing_key(tx: Tx, user_id: str, device_id: str) -> bool:
    """Is the ID that of a cross-signing key? Keys of devices and of users are named in one space."""
    return await tx.fetchval(_CLAIMED_BY_KEY, user_id, device_id) is True


_CONNECTIONS = sql("""
    SELECT device_id, last_seen_ts, last_seen_ip, user_agent FROM devices WHERE user_id = $1 ORDER BY device_id
""")


async def connections_of(tx: Tx, user_id: str) -> dict[str, Seen | None]:
    """Where each device of the user was last heard of; None for those that have not been."""
    return {
        row["device_id"]: None
        if row["last_seen_ts"] is None
        else Seen(row["last_seen_ts"], row["last_seen_ip"] or "", row["user_agent"] or "")
        for row in await tx.fetch(_CONNECTIONS, user_id)
    }


_INSERT = sql("""
    INSERT INTO devices (user_id, device_id, display_name, created, last_seen_ts, last_seen_ip, user_agent)
    VALUES ($1, $2, $3, $4, $4, $5, $6) ON CONFLICT DO NOTHING
""")


async def insert_device(tx: Tx, user_id: str, device_id: str, display_name: str | None, seen: Seen) -> bool:
    """Makes the device; False when the user has it already, and then it stays as it is."""
    values = (user_id, device_id, display_name, seen.at, seen.address, seen.user_agent)
    return await tx.execute(_INSERT, *values) == "INSERT 0 1"


_SEEN = sql("""
    UPDATE devices AS d SET last_seen_ts = s.at, last_seen_ip = s.address, user_agent = s.user_agent
    FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::text[])
        AS s (user_id, device_id, at, address, user_agent)
    WHERE d.user_id = s.user_id AND d.device_id = s.device_id AND (d.last_seen_ts IS NULL OR d.last_seen_ts < s.at)
""")


async def update_seen(tx: Tx, seen: Mapping[tuple[str, str], Seen]) -> None:
    """Notes for many devices, by user and device ID, when they were last seen."""
    devices = [(user, device, s.at, s.address, s.user_agent) for (user, device), s in seen.items()]
    await tx.execute(_SEEN, *zip(*devices, strict=True))


# For the journal: (user_id, device_id, display_name). Others in the user's rooms are shown the name with the keys.
SET_DISPLAY_NAME = each("""
    WITH renamed AS (
        UPDATE devices SET display_name = $4 WHERE user_id = $2 AND device_id = $3
    )
    INSERT INTO device_list_changes (position, user_id) VALUES ($1, $2)
    ON CONFLICT (user_id) DO UPDATE SET position = EXCLUDED.position
""")

# For the journal: (user_id, device_ids). All that belongs to the devices goes with them.
DELETE_DEVICES = each("""
    WITH device AS (
        DELETE FROM devices WHERE user_id = $2 AND device_id = ANY($3::text[])
    ), access AS (
        DELETE FROM access_tokens WHERE user_id = $2 AND device_id = ANY($3::text[])
    ), refresh AS (
        DELETE FROM refresh_tokens WHERE user_id = $2 AND device_id = ANY($3::text[])
    ), device_key AS (
        DELETE FROM device_keys WHERE user_id = $2 AND device_id = ANY($3::text[])
    ), one_time_key AS (
        DELETE FROM one_time_keys WHERE user_id = $2 AND device_id = ANY($3::text[])
    ), fallback_key AS (
        DELETE FROM fallback_keys WHERE user_id = $2 AND device_id = ANY($3::text[])
    ), inbox AS (
        DELETE FROM to_device WHERE user_id = $2 AND device_id = ANY($3::text[])
    ), pusher AS (
        DELETE FROM pushers WHERE user_id = $2 AND device_id = ANY($3::text[])
    ), signature AS (
        DELETE FROM key_signatures WHERE target = $2 AND target_key = ANY($3::text[])
    ), oauth_session AS (
        DELETE FROM oauth_sessions WHERE user_id = $2 AND device_id = ANY($3::text[])
    ), dehydrated AS (
        DELETE FROM dehydrated_devices WHERE user_id = $2 AND device_id = ANY($3::text[])
    ), silenced AS (
        -- «When a device is deleted, its local notification settings should be» (MSC3890): deleted account data is empty.
        UPDATE account_data AS a SET position = $1, content = '{}'
        FROM unnest($3::text[]) AS gone (device_id)
        WHERE a.user_id = $2 AND a.room_id = '' AND a.content <> '{}' AND a.type IN (
            'm.local_notification_settings.' || gone.device_id,
            'org.matrix.msc3890.local_notification_settings.' || gone.device_id
        )
    )
    INSERT INTO device_list_changes (position, user_id) VALUES ($1, $2)
    ON CONFLICT (user_id) DO UPDATE SET position = EXCLUDED.position
""")

_ROOMS = sql("SELECT room_id FROM memberships WHERE user_id = $1 AND membership = 'join' AND is_local")


async def get_rooms_to_tell(tx: Tx, user_id: str) -> list[str]:
    """The rooms whose members see the user's devices."""
    return [row["room_id"] for row in await tx.fetch(_ROOMS, user_id)]
