"""Our copies of the device lists of other servers' users."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from storage.database import Tx
from storage.keys.device_keys import StoredDeviceKeys
from storage.statement import each, sql


@dataclass(frozen=True, slots=True)
class RemoteList:
    """What we have of a user's device list. `is_good`: it is not stale, and we have shared a room ever since."""

    user_id: str
    stream_id: int | None
    version: int
    stale: bool
    is_good: bool


_LISTS = sql("""
    SELECT l.user_id, l.stream_id, l.version, l.stale, NOT l.stale AND EXISTS (
        SELECT FROM memberships AS theirs JOIN memberships AS ours ON ours.room_id = theirs.room_id
        WHERE theirs.user_id = l.user_id AND NOT theirs.is_local AND theirs.membership = 'join'
            AND theirs.since <= l.position
            AND ours.is_local AND ours.membership = 'join' AND ours.since <= l.position
    ) AS is_good
    FROM remote_device_lists AS l WHERE l.user_id = ANY($1::text[])
""")


async def remote_lists(tx: Tx, users: Collection[str]) -> dict[str, RemoteList]:
    """The lists that we have a copy of."""
    return {row["user_id"]: RemoteList(**row) for row in await tx.fetch(_LISTS, list(users))}


_SHARING = sql("""
    SELECT w.user_id FROM unnest($1::text[]) AS w (user_id)
    WHERE EXISTS (
        SELECT FROM memberships AS theirs JOIN memberships AS ours ON ours.room_id = theirs.room_id
        WHERE theirs.user_id = w.user_id AND NOT theirs.is_local AND theirs.membership = 'join'
            AND ours.is_local AND ours.membership = 'join'
    )
""")


async def sharing_a_room(tx: Tx, users: Collection[str]) -> list[str]:
    """Those of the users of other servers with whom one of ours is in a room."""
    return [row["user_id"] for row in await tx.fetch(_SHARING, list(users))]


_TRACK = sql("""
    INSERT INTO remote_device_lists AS l (user_id, position, stale)
    SELECT u.user_id, j.position, true FROM unnest($1::text[]) AS u (user_id), journal AS j ORDER BY 1
    ON CONFLICT (user_id) DO UPDATE
    SET position = excluded.position, stale = true, stream_id = NULL, version = l.version + 1
    RETURNING user_id, version
""")


async def track(tx: Tx, users: Collection[str]) -> dict[str, int]:
    """The users' lists are about to be asked for; the versions that they must still have when the answer is stored."""
    return {row["user_id"]: row["version"] for row in await tx.fetch(_TRACK, list(users))}


# Values: user ID, the version, the number of the last update or None, then arrays: device IDs, keys (JSON), names.
STORE_REMOTE_DEVICES = each("""
    WITH list AS (
        UPDATE remote_device_lists SET stale = false, stream_id = $4::bigint, retry_at = 0, retry_after = 0
        WHERE user_id = $2 AND version = $3::bigint AND $1::bigint IS NOT NULL
        RETURNING user_id
    ), gone AS (
        DELETE FROM remote_devices WHERE user_id = (SELECT user_id FROM list) AND device_id <> ALL($5::text[])
    )
    INSERT INTO remote_devices (user_id, device_id, json, display_name)
    SELECT list.user_id, n.device_id, n.json, n.display_name
    FROM list, unnest($5::text[], $6::bytea[], $7::text[]) AS n (device_id, json, display_name)
    ON CONFLICT (user_id, device_id) DO UPDATE SET json = excluded.json, display_name = excluded.display_name
""")

# Values: user ID, the update's number, the number that the list must have, device ID, keys (JSON) or None, name.
UPDATE_REMOTE_DEVICE = each("""
    WITH list AS (
        UPDATE remote_device_lists SET stream_id = $3::bigint, version = version + 1
        WHERE user_id = $2 AND stream_id = $4::bigint AND NOT stale AND $1::bigint IS NOT NULL
        RETURNING user_id
    ), gone AS (
        DELETE FROM remote_devices
        WHERE user_id = (SELECT user_id FROM list) AND device_id = $5 AND $6::bytea IS NULL
    )
    INSERT INTO remote_devices (user_id, device_id, json, display_name)
    SELECT user_id, $5, $6::bytea, $7::text FROM list WHERE $6::bytea IS NOT NULL
    ON CONFLICT (user_id, device_id) DO UPDATE SET json = excluded.json, display_name = excluded.display_name
""")

_MARK_STALE = sql("""
    UPDATE remote_device_lists SET stale = true, version = version + 1, retry_at = 0 WHERE user_id = $1
""")


async def mark_stale(tx: Tx, user_id: str) -> None:
    """There is news of the user's devices that we do not have."""
    await tx.execute(_MARK_STALE, user_id)


_FORGET = sql("""
    WITH list AS (
        DELETE FROM remote_device_lists WHERE user_id = ANY($1::text[])
    ), device AS (
        DELETE FROM remote_devices WHERE user_id = ANY($1::text[])
    )
    DELETE FROM cross_signing_keys WHERE user_id = ANY($1::text[])
""")


async def forget_lists(tx: Tx, users: Collection[str]) -> None:
    """We share no room with these users of other servers any more, and hear nothing of their devices."""
    await tx.execute(_FORGET, list(users))


_DUE = sql("""
    UPDATE remote_device_lists AS l SET retry_at = $1 + $2, version = version + 1
    FROM (
        SELECT user_id FROM remote_device_lists WHERE stale AND retry_at <= $1
        ORDER BY retry_at LIMIT $3 FOR UPDATE SKIP LOCKED
    ) AS due
    WHERE l.user_id = due.user_id
    RETURNING l.user_id, l.version, l.retry_after
""")


async def take_due(tx: Tx, now: int, pause: int, limit: int) -> dict[str, tuple[int, int]]:
    """Stale lists that it is time to ask for: (version, the last pause). Nobody else takes them for a while (ms)."""
    found = await tx.fetch(_DUE, now, pause, limit)
    return {row["user_id"]: (row["version"], row["retry_after"]) for row in found}


_NEXT_DUE = sql("SELECT min(retry_at) FROM remote_device_lists WHERE stale")


async def next_due(tx: Tx) -> int | None:
    """When the next stale list is to be asked for; None if there is none."""
    at: int | None = await tx.fetchval(_NEXT_DUE)
    return at


_POSTPONE = sql("""
    UPDATE remote_device_lists AS l SET retry_at = n.retry_at, retry_after = n.retry_after
    FROM unnest($1::text[], $2::bigint[], $3::bigint[]) AS n (user_id, retry_at, retry_after)
    WHERE l.user_id = n.user_id AND l.stale
""")


async def postpone(tx: Tx, pauses: Mapping[str, tuple[int, int]]) -> None:
    """The users' server did not answer: (when to ask again, the pause until then)."""
    users = list(pauses)
    at, after = [pauses[user][0] for user in users], [pauses[user][1] for user in users]
    await tx.execute(_POSTPONE, users, at, after)


_OF_DEVICES = sql("""
    SELECT k.user_id, k.device_id, k.json, k.display_name
    FROM unnest($1::text[], $2::text[]) AS w (user_id, device_id)
    JOIN remote_devices AS k ON k.user_id = w.user_id AND (w.device_id IS NULL OR k.device_id = w.device_id)
""")


async def remote_devices_of(tx: Tx, wanted: Collection[tuple[str, str | None]]) -> list[StoredDeviceKeys]:
    """Our copies for these (user, device), where None stands for all devices of the user."""
    users, devices = [user_id for user_id, _ in wanted], [device_id for _, device_id in wanted]
    return [StoredDeviceKeys(**row) for row in await tx.fetch(_OF_DEVICES, users, devices)]


_ROOMS = sql("SELECT room_id FROM memberships WHERE user_id = $1 AND membership = 'join' AND NOT is_local")


async def rooms_of_remote(tx: Tx, user_id: str) -> list[str]:
    """The rooms that a user of another server is in, as far as we are, or were."""
    return [row["room_id"] for row in await tx.fetch(_ROOMS, user_id)]
