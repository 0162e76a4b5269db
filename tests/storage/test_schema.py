"""Every statement is one that PostgreSQL can prepare, and the steps lead to the schema as it is."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any

import pytest

import homeserver
import services
import storage
from storage import statement
from storage.database import Database
from storage.schema import migrate
from tests.fixtures.postgres import NewDatabase

_CATALOGUE = """
    SELECT 'column' AS kind, table_name AS name, column_name AS detail,
           concat_ws(' ', ordinal_position, data_type, is_nullable, column_default, is_identity) AS what
    FROM information_schema.columns WHERE table_schema = $1 AND table_name <> 'schema_steps'
    UNION ALL
    SELECT 'index', tablename, indexname, replace(indexdef, $1 || '.', '')
    FROM pg_indexes WHERE schemaname = $1 AND tablename <> 'schema_steps'
    UNION ALL
    SELECT 'sequence', sequencename, increment_by::text, start_value::text FROM pg_sequences WHERE schemaname = $1
    ORDER BY 1, 2, 3
"""


def _import_everything() -> None:
    for package in (storage, services, homeserver):
        for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            importlib.import_module(module.name)


async def test_every_statement_can_be_prepared(database: Database, connection: Any) -> None:
    _import_everything()
    await connection.execute(f"SET search_path TO {database.schema}")
    assert len(statement.REGISTERED) > 50
    for text in statement.REGISTERED:
        await connection.prepare(text)


async def test_the_steps_lead_to_the_current_schema(database: Database, connection: Any) -> None:
    await connection.execute("CREATE SCHEMA as_it_is; SET search_path TO as_it_is")
    try:
        await connection.execute((migrate.STEPS.parent / "current.sql").read_text())
        as_it_is = await connection.fetch(_CATALOGUE.replace("$1", "'as_it_is'"))
        migrated = await connection.fetch(_CATALOGUE.replace("$1", f"'{database.schema}'"))
        assert [tuple(row) for row in migrated] == [tuple(row) for row in as_it_is]
    finally:
        await connection.execute("DROP SCHEMA as_it_is CASCADE")


async def test_a_database_of_a_newer_version_is_left_alone(
    new_database: NewDatabase, connection: Any
) -> None:
    database = await new_database()
    await connection.execute(f"SET search_path TO {database.schema}")
    await connection.execute("INSERT INTO schema_steps (step, name) VALUES (9999, 'from_the_future')")
    with pytest.raises(migrate.NewerSchema, match="9999"):
        await migrate.migrate(connection, database.schema)


@pytest.mark.parametrize("name", ["", "Upper", "a-b", 'a"; DROP SCHEMA public; --', "x" * 64])
async def test_only_plain_names_become_schemas(connection: Any, name: str) -> None:
    with pytest.raises(ValueError, match="schema"):
        await migrate.migrate(connection, name)
