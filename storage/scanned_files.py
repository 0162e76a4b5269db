"""What the virus scanner said of bytes, by their digest."""

from __future__ import annotations

from dataclasses import dataclass

from storage.database import Tx
from storage.statement import sql


@dataclass(frozen=True, slots=True)
class Scanned:
    """`found` is None when nothing was."""

    found: str | None


_GET = sql("SELECT found FROM scanned_files WHERE digest = $1")


async def get(tx: Tx, digest: bytes) -> Scanned | None:
    """None for what was never scanned."""
    row = await tx.fetchrow(_GET, digest)
    return None if row is None else Scanned(row["found"])


_ADD = sql("""
    INSERT INTO scanned_files (digest, found, scanned) VALUES ($1, $2, $3)
    ON CONFLICT (digest) DO UPDATE SET found = excluded.found, scanned = excluded.scanned
""")


async def add(tx: Tx, digest: bytes, found: str | None, now: int) -> None:
    """Keeps what was said."""
    await tx.execute(_ADD, digest, found, now)
