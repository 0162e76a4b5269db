"""Statements whose cost depends on what somebody has typed: they are ended when they take too long."""

from __future__ import annotations

import asyncpg

from storage.database import Tx
from storage.statement import sql

PATIENCE = "2000"  # ms

# What a plan that is made for any values takes for cheap is not so for these: each statement has an index that is made for it.
_PATIENCE = sql("SELECT set_config('statement_timeout', $1, true), set_config('enable_seqscan', 'off', true)")


class TooLong(Exception):
    """What was asked for is too common; the transaction has ended."""


async def fetch_patiently(tx: Tx, statement: str, *values: object) -> list[asyncpg.Record]:
    """All rows; raises TooLong. It is for transactions: the patience lasts until the end of it."""
    await tx.execute(_PATIENCE, PATIENCE)
    try:
        return await tx.fetch(statement, *values)
    except asyncpg.QueryCanceledError:
        raise TooLong from None
