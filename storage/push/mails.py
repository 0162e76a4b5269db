"""What mails about missed messages have told of which room, and when."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from storage.database import Tx
from storage.statement import sql


@dataclass(frozen=True, slots=True)
class MailedRoom:
    """Up to which position mails have told of a room, when the last one did, and how long none does after that (ms)."""

    room_id: str
    position: int
    sent: int
    pause: int


_OF_PUSHER = sql(
    "SELECT room_id, position, sent, pause FROM push_mail_rooms WHERE user_id = $1 AND address = $2"
)


async def mailed_rooms(tx: Tx, user_id: str, address: str) -> dict[str, MailedRoom]:
    """The rooms that mails to the address have told of."""
    return {row["room_id"]: MailedRoom(**row) for row in await tx.fetch(_OF_PUSHER, user_id, address)}


_SET = sql("""
    INSERT INTO push_mail_rooms (user_id, address, room_id, position, sent, pause)
    SELECT $1, $2, * FROM unnest($3::text[], $4::bigint[], $5::bigint[], $6::bigint[])
    ON CONFLICT (user_id, address, room_id) DO UPDATE
    SET position = excluded.position, sent = excluded.sent, pause = excluded.pause
""")


async def set_mailed(tx: Tx, user_id: str, address: str, rooms: Collection[MailedRoom]) -> None:
    """A mail tells of these rooms now."""
    columns = [[getattr(room, name) for room in rooms] for name in ("room_id", "position", "sent", "pause")]
    await tx.execute(_SET, user_id, address, *columns)


_FORGET = sql("DELETE FROM push_mail_rooms WHERE sent < $1")


async def forget_mailed(tx: Tx, before: int) -> None:
    """What mails told before that time matters no more."""
    await tx.execute(_FORGET, before)


_OWNED = sql("""
    SELECT EXISTS (
        SELECT FROM threepids AS t JOIN users AS u ON u.user_id = t.user_id
        WHERE t.medium = 'email' AND t.address = $2 AND t.user_id = $1 AND NOT u.deactivated
    )
""")


async def is_address_of(tx: Tx, user_id: str, address: str) -> bool:
    """Is it an address of the user?"""
    return await tx.fetchval(_OWNED, user_id, address) is True
