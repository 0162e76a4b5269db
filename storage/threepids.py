"""Third-party identifiers: whose they are, and where they were published through us."""

from __future__ import annotations

from dataclasses import dataclass

from storage.database import Tx
from storage.statement import sql


@dataclass(frozen=True, slots=True)
class Threepid:
    """An address of an account; canonical."""

    medium: str
    address: str
    validated_at: int
    added_at: int


_OWNER = sql("SELECT user_id FROM threepids WHERE medium = $1 AND address = $2")


async def owner_of(tx: Tx, medium: str, address: str) -> str | None:
    """The user whose address it is, if it is anybody's here."""
    user_id: str | None = await tx.fetchval(_OWNER, medium, address)
    return user_id


_OF_USER = sql(
    "SELECT medium, address, validated_at, added_at FROM threepids WHERE user_id = $1 ORDER BY added_at, address"
)


async def threepids_of(tx: Tx, user_id: str) -> list[Threepid]:
    """All addresses of the user, the oldest first."""
    return [Threepid(**row) for row in await tx.fetch(_OF_USER, user_id)]


_INSERT = sql("""
    INSERT INTO threepids (medium, address, user_id, validated_at, added_at) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (medium, address) DO UPDATE SET validated_at = greatest(threepids.validated_at, excluded.validated_at)
    WHERE threepids.user_id = excluded.user_id
    RETURNING true
""")


async def insert_threepid(tx: Tx, user_id: str, threepid: Threepid) -> bool:
    """The address is the user's from now on, or was already; False when it is somebody else's."""
    values = (threepid.medium, threepid.address, user_id, threepid.validated_at, threepid.added_at)
    return await tx.fetchval(_INSERT, *values) is True


_DELETE = sql("""
    WITH pusher AS (
        DELETE FROM pushers WHERE user_id = $1 AND $2 = 'email' AND app_id = 'm.email' AND pushkey = $3
    )
    DELETE FROM threepids WHERE user_id = $1 AND medium = $2 AND address = $3
""")


async def delete_threepid(tx: Tx, user_id: str, medium: str, address: str) -> None:
    """The address is not the user's any more, and is told nothing any more."""
    await tx.execute(_DELETE, user_id, medium, address)


_BIND = sql("""
    INSERT INTO threepid_bindings (user_id, medium, address, id_server) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING
""")


async def insert_binding(tx: Tx, user_id: str, medium: str, address: str, id_server: str) -> None:
    """Notes that the identity server publishes the address as the user's."""
    await tx.execute(_BIND, user_id, medium, address, id_server)


@dataclass(frozen=True, slots=True)
class Binding:
    """An address that an identity server publishes as a user's."""

    medium: str
    address: str
    id_server: str


_BINDINGS = sql(
    "SELECT medium, address, id_server FROM threepid_bindings WHERE user_id = $1 ORDER BY medium, address, id_server"
)


async def bindings_of(tx: Tx, user_id: str) -> list[Binding]:
    """What is published of the user, as far as it was done through us."""
    return [Binding(**row) for row in await tx.fetch(_BINDINGS, user_id)]


_UNBIND = sql(
    "DELETE FROM threepid_bindings WHERE user_id = $1 AND medium = $2 AND address = $3 AND id_server = $4"
)


async def delete_binding(tx: Tx, user_id: str, binding: Binding) -> None:
    """Notes that the identity server publishes it no more."""
    await tx.execute(_UNBIND, user_id, binding.medium, binding.address, binding.id_server)
