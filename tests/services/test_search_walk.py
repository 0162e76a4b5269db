"""Walking and looking up find the same: the newest documents that have the words, whatever room they are in."""

from __future__ import annotations

import random

import pytest

from protocol.search.query import parse_query
from services.search import walk
from services.search.walk import walk_newest
from storage.database import Database
from storage.search.find import Ask, Place, look_up
from storage.search.follow import Document, write_documents
from storage.search.lexemes import BODY, Terms, Text, template, vector
from storage.search.words import add_words, words_with
from storage.timeline import NEWEST, OLDEST

WORDS = ("often", "now", "rare")
CHANCES = (0.5, 0.05, 0.005)


async def _said(database: Database, chance: random.Random, busy: int) -> list[tuple[Place, list[str]]]:
    """Documents of 20 rooms; so many of the newest are of one room, in which nobody says any of the words."""
    documents, said = [], []
    for position in range(1, 1500 + busy):
        is_busy = position > 1500
        room = 1 if is_busy else min(int(chance.expovariate(0.3)) + 1, 20)
        words = (
            [] if is_busy else [word for word, c in zip(WORDS, CHANCES, strict=True) if chance.random() < c]
        )
        at = position * 10 if chance.random() < 0.9 else chance.randrange(15_000)
        text = vector(room, Text(BODY, [*words, "all"]), "@a:one.example", None, has_url=False)
        documents.append(Document(position, at, None, room, text))
        said.append(((at, position), words))
    async with database.transaction() as tx:
        await write_documents(tx, documents, ())
    return said


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("busy", [0, 700])
async def test_what_is_found_is_the_newest_and_all_of_it(
    database: Database, monkeypatch: pytest.MonkeyPatch, seed: int, busy: int
) -> None:
    monkeypatch.setattr(walk, "FIRST", 100)
    monkeypatch.setattr(walk, "MOST", 1000)
    said = await _said(database, random.Random(seed), busy)
    for word in WORDS:
        query = template(Terms(parse_query(word).branches, (BODY,)), {})
        assert query is not None
        for before in ((NEWEST, OLDEST), (9_000, 0)):
            for since in (OLDEST, 3_000):
                ask = Ask(query, range(1, 21), since, before)
                there = sorted(
                    (at for at, words in said if word in words and at < before and at[0] >= since),
                    reverse=True,
                )
                async with database.snapshot() as tx:
                    walked = await walk_newest(tx, ask, 20)
                    assert await look_up(tx, ask, 10_000) == there
                until = walked.horizon
                assert walked.found == [at for at in there if until is None or at >= until]
                if word == "often":
                    assert len(walked.found) >= 20


async def test_words_are_known_by_their_parts(database: Database) -> None:
    async with database.transaction() as tx:
        await add_words(tx, {"strawberry", "berry", "bury", "blackberries"})
        await add_words(tx, {"berry", "cranberry"})
        assert await words_with(tx, "berr", 10) == ["berry", "cranberry", "strawberry", "blackberries"]
        assert await words_with(tx, "berr", 1) == ["berry"]
        assert await words_with(tx, "%%%", 10) == []
