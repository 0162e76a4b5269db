"""Application services: where each has got to, its transaction in flight, and what of the house concerns it.

One process delivers to an application service. It holds the row for a while (by the clock of the database) and goes on
holding it by writing to it or by `renew`; one that dies lets go by not doing so.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import asyncpg

from storage.database import Tx
from storage.statement import sql

Mail = Sequence[tuple[str, str, int]]
"""User ID, device ID, and up to which position the device's messages are in a transaction."""


@dataclass(frozen=True, slots=True)
class Flight:
    """A transaction that is on its way: a second try is the same to the last byte."""

    number: int
    upto: int
    body: bytes
    mail: Mail = ()


@dataclass(frozen=True, slots=True)
class Claimed:
    """An application service that is ours to deliver to: it has everything up to `position`."""

    position: int
    series: str
    number: int
    flight: Flight | None


_CLAIM = sql("""
    INSERT INTO appservices AS a (id, position, series, holder, held_until)
    VALUES ($1, $3, $4, $2, now() + interval '20 seconds')
    ON CONFLICT (id) DO UPDATE SET holder = excluded.holder, held_until = excluded.held_until
    WHERE a.holder IS NULL OR a.holder = $2 OR a.held_until < now()
    RETURNING position, series, number, upto, body, mail_users, mail_devices, mail_positions
""")


async def claim(tx: Tx, appservice: str, process: str, position: int, series: str) -> Claimed | None:
    """The application service, from now on ours; None while another process has it. The last two are for one that is new."""
    row = await tx.fetchrow(_CLAIM, appservice, process, position, series)
    if row is None:
        return None
    flight = None
    if row["upto"] is not None:
        mail = zip(row["mail_users"], row["mail_devices"], row["mail_positions"], strict=True)
        flight = Flight(row["number"], row["upto"], row["body"], tuple(mail))
    return Claimed(row["position"], row["series"], row["number"], flight)


_RENEW = sql("""
    UPDATE appservices SET position = greatest(position, $3), held_until = now() + interval '20 seconds'
    WHERE id = $1 AND holder = $2 RETURNING true
""")


async def renew(tx: Tx, appservice: str, process: str, position: int) -> bool:
    """It goes on being ours, and nothing up to this position concerned it; False when another process has it."""
    return await tx.fetchval(_RENEW, appservice, process, position) is True


_RELEASE = sql("""
    UPDATE appservices SET position = greatest(position, $3), holder = NULL, held_until = NULL
    WHERE id = $1 AND holder = $2
""")


async def release(tx: Tx, appservice: str, process: str, position: int) -> None:
    """It is free for other processes."""
    await tx.execute(_RELEASE, appservice, process, position)


_BEGIN = sql("""
    UPDATE appservices SET position = $3, number = $4, upto = $5, body = $6, mail_users = $7, mail_devices = $8,
        mail_positions = $9, held_until = now() + interval '20 seconds'
    WHERE id = $1 AND holder = $2 RETURNING true
""")


async def begin_flight(tx: Tx, appservice: str, process: str, position: int, flight: Flight) -> bool:
    """The transaction is on its way, and kept until it has arrived; False when another process delivers."""
    columns = [[one[part] for one in flight.mail] for part in range(3)]
    about = (position, flight.number, flight.upto, flight.body)
    return await tx.fetchval(_BEGIN, appservice, process, *about, *columns) is True


_END = sql("""
    UPDATE appservices SET position = upto, upto = NULL, body = NULL, mail_users = NULL, mail_devices = NULL,
        mail_positions = NULL, held_until = now() + interval '20 seconds'
    WHERE id = $1 AND holder = $2 AND number = $3 AND upto IS NOT NULL RETURNING true
""")
_DELETE_MAIL = sql("""
    DELETE FROM to_device AS t USING unnest($1::text[], $2::text[], $3::bigint[]) AS n (user_id, device_id, position)
    WHERE t.user_id = n.user_id AND t.device_id = n.device_id AND t.position <= n.position
""")


async def end_flight(tx: Tx, appservice: str, process: str, flight: Flight) -> bool:
    """The transaction has arrived, the messages to devices in it are gone from their inboxes; wants a transaction."""
    if await tx.fetchval(_END, appservice, process, flight.number) is not True:
        return False
    if flight.mail:
        await tx.execute(_DELETE_MAIL, *([one[part] for one in flight.mail] for part in range(3)))
    return True


# Memberships in rooms that we are not in (invites) stand outside of any room (2): the one that holds now is shown.
_SCAN = sql("""
    SELECT e.position, e.event_id, e.room_id, e.type, e.sender, e.state_key, m.stripped
    FROM events AS e
    LEFT JOIN memberships AS m ON e.type = 'm.room.member' AND m.room_id = e.room_id AND m.user_id = e.state_key
        AND m.event_id = e.event_id
    WHERE e.position > $1 AND e.position <= $2
        AND (e.standing = 0 OR (e.standing = 2 AND e.type = 'm.room.member' AND m.is_local))
    ORDER BY e.position LIMIT $3
""")


async def events_between(tx: Tx, after: int, upto: int, limit: int) -> list[asyncpg.Record]:
    """The first events at positions in (after, upto], without what they say."""
    return await tx.fetch(_SCAN, after, upto, limit)


# Of those who have left since `$2` also what they were before: who was in the room until then had to do with it so long.
_MEMBERS = sql("""
    SELECT m.room_id, m.user_id, m.membership, m.position, m.since, b.position AS before_position, b.json AS before
    FROM memberships AS m
    LEFT JOIN state_deltas AS d ON m.membership <> 'join' AND d.room_id = m.room_id AND d.position = m.position
        AND d.type = 'm.room.member' AND d.state_key = m.user_id
    LEFT JOIN events AS b ON b.event_id = d.previous
    WHERE m.room_id = ANY($1::text[]) AND m.is_local
        AND (m.membership = 'join' OR (m.membership IN ('leave', 'ban') AND m.position > $2))
""")


async def local_members(tx: Tx, rooms: Collection[str], after: int) -> list[asyncpg.Record]:
    """Our users in the rooms, and those who left them after a position."""
    return await tx.fetch(_MEMBERS, list(rooms), after)


_ALIASES = sql("SELECT room_id, alias FROM aliases WHERE room_id = ANY($1::text[])")


async def aliases_of_rooms(tx: Tx, rooms: Collection[str]) -> list[tuple[str, str]]:
    """(room, alias): this server's."""
    return [(row["room_id"], row["alias"]) for row in await tx.fetch(_ALIASES, list(rooms))]


_RECEIPTS = sql("""
    SELECT r.room_id, r.user_id, r.receipt_type, r.thread_id, r.event_id, r.ts, r.position
    FROM unnest($1::text[]) AS w (room_id)
    JOIN receipts AS r ON r.room_id = w.room_id AND r.position > $2 AND r.position <= $3
    WHERE r.receipt_type IN ('m.read', 'm.read.private')
    ORDER BY r.position LIMIT $4
""")


async def receipts_between(
    tx: Tx, rooms: Collection[str], after: int, upto: int, limit: int
) -> list[asyncpg.Record]:
    """The receipts, private ones too, at positions in (after, upto]."""
    return await tx.fetch(_RECEIPTS, list(rooms), after, upto, limit)


_JOINED_ROOMS = sql("""
    SELECT user_id, room_id FROM memberships WHERE user_id = ANY($1::text[]) AND is_local AND membership = 'join'
    UNION ALL
    SELECT user_id, room_id FROM memberships WHERE user_id = ANY($1::text[]) AND NOT is_local AND membership = 'join'
""")


async def joined_rooms(tx: Tx, users: Collection[str]) -> list[tuple[str, str]]:
    """(user, room) for each room that one of the users is in."""
    return [(row["user_id"], row["room_id"]) for row in await tx.fetch(_JOINED_ROOMS, list(users))]


_DEVICES = sql("""
    SELECT d.user_id, d.device_id FROM users AS u JOIN devices AS d ON d.user_id = u.user_id
    WHERE u.appservice = $1 AND ($2::text[] IS NULL OR u.user_id = ANY($2))
""")


async def devices_of(tx: Tx, appservice: str, users: Collection[str] | None = None) -> list[tuple[str, str]]:
    """(user, device): those of the application service's users, or of some of them."""
    wanted = None if users is None else list(users)
    return [(row["user_id"], row["device_id"]) for row in await tx.fetch(_DEVICES, appservice, wanted)]


_MAIL = sql("""
    SELECT t.position, t.user_id, t.device_id, t.json
    FROM users AS u JOIN devices AS d ON d.user_id = u.user_id
    JOIN to_device AS t ON t.user_id = d.user_id AND t.device_id = d.device_id AND t.position <= $2
    WHERE u.appservice = $1 AND ($4::text[] IS NULL OR u.user_id = ANY($4))
    ORDER BY t.position, t.user_id, t.device_id LIMIT $3
""")


async def mail_for(
    tx: Tx, appservice: str, upto: int, limit: int, users: Collection[str] | None = None
) -> list[asyncpg.Record]:
    """The oldest messages to devices of the application service's users, or some of them, up to a position."""
    return await tx.fetch(_MAIL, appservice, upto, limit, None if users is None else list(users))


_SENT = sql("SELECT txn_digest, event_id FROM events WHERE txn_digest = ANY($1::bytea[])")


async def events_of_txns(tx: Tx, digests: Collection[bytes]) -> dict[bytes, str]:
    """What came of those of the transactions that were sent before."""
    return {row["txn_digest"]: row["event_id"] for row in await tx.fetch(_SENT, list(digests))}


_HAS_MESSAGES = sql("""
    SELECT EXISTS (
        SELECT FROM events
        WHERE room_id = $1 AND standing <= 1 AND state_key IS NULL AND type IN ('m.room.message', 'm.room.encrypted')
    )
""")


async def has_messages(tx: Tx, room_id: str) -> bool:
    """Has anything been said in the room?"""
    return await tx.fetchval(_HAS_MESSAGES, room_id) is True
