"""Every word that was ever indexed, to find those that have certain characters in them."""

from __future__ import annotations

from collections.abc import Collection

from storage.database import Tx
from storage.search.patience import fetch_patiently
from storage.statement import sql

PART = 3

_ADD = sql(
    """
    INSERT INTO search_words (word, parts)
    SELECT w.word, ARRAY(SELECT DISTINCT substr(w.word, n, 3) FROM generate_series(1, length(w.word) - 2) AS n)
    FROM unnest($1::text[]) AS w (word)
    ON CONFLICT DO NOTHING
"""
)


async def add_words(tx: Tx, words: Collection[str]) -> None:
    """Words of three characters or more are known from now on."""
    if words:
        await tx.execute(_ADD, sorted(words))


_WITH_PART = sql(
    """
    SELECT word FROM search_words
    WHERE parts @> $1::text[] AND position($2 IN word) > 0
    ORDER BY length(word), word
    LIMIT $3
"""
)


async def words_with(tx: Tx, part: str, limit: int) -> list[str]:
    """The shortest words that have these characters, at least three, in them; of whatever room. Raises TooLong."""
    parts = sorted({part[place : place + PART] for place in range(len(part) - PART + 1)})
    return [row["word"] for row in await fetch_patiently(tx, _WITH_PART, parts, part, limit)]
