"""SQL statements as registered constants, so that a test can prepare every one of them on a real PostgreSQL."""

from __future__ import annotations

from dataclasses import dataclass

REGISTERED: list[str] = []


def sql(text: str) -> str:
    """The statement itself; it stands directly above the one function that runs it."""
    REGISTERED.append(text)
    return text


@dataclass(frozen=True, slots=True)
class Rows:
    """A statement that writes many rows of one table at once, for the journal.

    `$1` is the array of the rows' journal positions, `$2`... one array for each value. `key` names the values
    (by index) that must be unique in one call, since ON CONFLICT DO UPDATE may not touch a row twice: the last row
    of a key wins. Without a key, all rows are written.
    """

    text: str
    key: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Each:
    """A statement that the journal runs for one row at a time, in order, after all `Rows`; `$1` is the position."""

    text: str


def rows(text: str, key: tuple[int, ...] = ()) -> Rows:
    """Registers a statement that takes arrays; see `Rows`."""
    return Rows(sql(text), key)


def each(text: str) -> Each:
    """Registers a statement that takes one row; see `Each`."""
    return Each(sql(text))
