"""The journal, the statements and the schema, on a real PostgreSQL."""
