"""Brings a tenant's schema up to date, a step at a time, each in a transaction of its own."""

from __future__ import annotations

import re
from pathlib import Path

import asyncpg

from storage.statement import sql

STEPS = Path(__file__).parent / "steps"
_LOCK = 0x48656172  # two processes that start at once migrate one after another

_CREATE_SCHEMA = "CREATE SCHEMA IF NOT EXISTS {}"
_CREATE_TABLE = """
    CREATE TABLE IF NOT EXISTS schema_steps (step integer PRIMARY KEY, name text NOT NULL, at timestamptz NOT NULL DEFAULT now())
"""
_DONE = "SELECT step FROM schema_steps"
_RECORD = "INSERT INTO schema_steps (step, name) VALUES ($1, $2)"
_TAKE_LOCK = sql("SELECT pg_advisory_lock($1::bigint)")
_GIVE_LOCK = sql("SELECT pg_advisory_unlock($1::bigint)")


class NewerSchema(Exception):
    """The database was written by a newer version of this program."""


def steps() -> dict[int, Path]:
    """All steps by number."""
    return {int(path.name[:4]): path for path in sorted(STEPS.glob("[0-9][0-9][0-9][0-9]_*.sql"))}


async def migrate(connection: asyncpg.Connection, schema: str) -> list[str]:
    """Runs the steps that are missing and returns their names. Raises NewerSchema when the database is ahead of us."""
    if not re.fullmatch(r"[a-z_][a-z0-9_]{0,62}", schema):
        raise ValueError(f"not a name for a schema: {schema!r}")
    await connection.execute(_TAKE_LOCK, _LOCK)
    try:
        await connection.execute(_CREATE_SCHEMA.format(schema))
        await connection.execute(f"SET search_path TO {schema}")
        await connection.execute(_CREATE_TABLE)
        return await _run_missing(connection)
    finally:
        await connection.execute(_GIVE_LOCK, _LOCK)


async def _run_missing(connection: asyncpg.Connection) -> list[str]:
    done, all_steps = {row["step"] for row in await connection.fetch(_DONE)}, steps()
    if not done <= all_steps.keys():
        raise NewerSchema(
            f"the database is at step {max(done)}, this program knows {max(all_steps)}: use a newer version"
        )
    names = []
    for number in sorted(all_steps.keys() - done):
        async with connection.transaction():
            await connection.execute(all_steps[number].read_text())
            await connection.execute(_RECORD, number, all_steps[number].stem)
        names.append(all_steps[number].stem)
    return names
