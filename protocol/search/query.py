"""What a search term asks for: words, "phrases", OR, NOT (or -), prefix*, *inside*; from:, before: and after:.

    cake "birthday party" -chocolate        all of these words, the phrase, and not that word
    cake OR pie*                            either; OR binds less than what stands side by side
    *berry*                                 a part of a word, of three characters or more
    from:alice after:2024-06 before:2025    by whom, and when (UTC; the day, month or year named is the first not before,
                                            or not after)

Nobody is told that a term is wrong: what makes no sense is passed over, and only so much of a term is looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from protocol.search.words import MAX_WORD, Kind, folded, kind_of, pairs, runs

MAX_TERM: Final = 1_000
MAX_LEXEMES: Final = 32
SHORTEST_PART: Final = 3
_PRICE_OF_PART: Final = 8  # lexemes: it stands for many words


@dataclass(frozen=True, slots=True)
class Lexeme:
    """A word, or the beginning of one, at a place in a phrase."""

    word: str
    place: int = 0
    is_prefix: bool = False


@dataclass(frozen=True, slots=True)
class Phrase:
    """Words that follow on one another; often one only."""

    lexemes: tuple[Lexeme, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """Characters somewhere in a word."""

    text: str


@dataclass(frozen=True, slots=True)
class Branch:
    """All of `wanted`, of which there is at least one, and none of `unwanted`."""

    wanted: tuple[Phrase | Part, ...]
    unwanted: tuple[Phrase | Part, ...] = ()


@dataclass(frozen=True, slots=True)
class Query:
    """Any of the branches; without one nothing is found. Times are milliseconds: from `since` on, until before `until`.
    `senders` are user IDs, or localparts without the @.
    """

    branches: tuple[Branch, ...]
    senders: tuple[str, ...] = ()
    since: int | None = None
    until: int | None = None


_TOKEN: Final = re.compile(r'(-?)"([^"]*)"?|(\S+)')
_DATE: Final = re.compile(r"([0-9]{4})(?:-([0-9]{1,2})(?:-([0-9]{1,2}))?)?", re.ASCII)


def parse_query(term: str) -> Query:
    """What the term asks for; never fails."""
    parser = _Parser()
    for match in _TOKEN.finditer(term[:MAX_TERM]):
        minus, phrase, plain = match.groups()
        if plain is None:
            parser.take(_phrase(folded(phrase)), bool(minus))
        else:
            parser.take_plain(plain)
    return parser.query()


class _Parser:
    """Collects what was read so far."""

    def __init__(self) -> None:
        self._branches: list[Branch] = []
        self._wanted: list[Phrase | Part] = []
        self._unwanted: list[Phrase | Part] = []
        self._is_negated = False
        self._left = MAX_LEXEMES
        self._senders: list[str] = []
        self._since: int | None = None
        self._until: int | None = None

    def take_plain(self, text: str) -> None:
        """A word between spaces: an operator, or something to look for."""
        if text in ("OR", "|"):
            self._end_branch()
        elif text == "NOT":
            self._is_negated = True
        elif text != "AND" and not self._took_limit(text):
            is_negated = len(text) > 1 and text[0] == "-"
            self.take(_plain(text[1:] if is_negated else text), is_negated)

    def take(self, node: Phrase | Part | None, is_negated: bool) -> None:
        """Something to look for, or to keep away from."""
        is_negated, self._is_negated = is_negated or self._is_negated, False
        if node is None:
            return
        self._left -= len(node.lexemes) if isinstance(node, Phrase) else _PRICE_OF_PART
        if self._left >= 0:
            (self._unwanted if is_negated else self._wanted).append(node)

    def query(self) -> Query:
        """All of it."""
        self._end_branch()
        return Query(tuple(self._branches), tuple(self._senders), self._since, self._until)

    def _end_branch(self) -> None:
        if self._wanted:  # what is only not wanted would be nearly everything
            self._branches.append(Branch(tuple(self._wanted), tuple(self._unwanted)))
        self._wanted, self._unwanted, self._is_negated = [], [], False

    def _took_limit(self, text: str) -> bool:
        name, colon, value = text.partition(":")
        if not colon or not value:
            return False
        if name == "from":
            self._senders.append(value.removeprefix("@") if ":" not in value else value)
            return True
        date = _date(value) if name in ("before", "after") else None
        if date is None:
            return False
        if name == "before":
            self._until = date if self._until is None else min(self._until, date)
        else:
            self._since = date if self._since is None else max(self._since, date)
        return True


def _plain(text: str) -> Phrase | Part | None:
    core = folded(text.strip("*"))
    if text.startswith("*") and len(core) >= SHORTEST_PART:
        found = list(runs(core))
        if len(found) == 1 and found[0].kind is Kind.LETTER and found[0].end == len(core):
            return Part(core[:MAX_WORD])
    return _phrase(core, is_prefix=text.endswith("*") or text.startswith("*"))


def _phrase(text: str, *, is_prefix: bool = False) -> Phrase | None:
    lexemes = list(_lexemes(text))
    if not lexemes:
        return None
    if is_prefix and text[-1:].isalnum():
        last = lexemes[-1]
        lexemes[-1] = Lexeme(last.word, last.place, True)
    return Phrase(tuple(lexemes[:MAX_LEXEMES]))


def _lexemes(text: str) -> Iterator[Lexeme]:
    """The words of a folded text, placed as `words` places them; the last character of a paired run stands in the pair."""
    place = 0
    for run in runs(text):
        characters = text[run.start : run.end]
        if run.kind is not Kind.PAIRED:
            yield Lexeme(characters[:MAX_WORD], place)
            place += 1
            continue
        found = pairs(characters)
        for offset, pair in enumerate(found[: max(len(found) - 1, 1)]):
            yield Lexeme(pair, place + offset, is_prefix=len(pair) == 1)
        place += len(found)


def _date(text: str) -> int | None:
    """Milliseconds of the beginning of a day, a month or a year; None for what is none of these."""
    match = _DATE.fullmatch(text)
    if match is None:
        return None
    year, month, day = (int(part or 1) for part in match.groups())
    try:
        return int(datetime(year, month, day, tzinfo=UTC).timestamp()) * 1000
    except ValueError:
        return None


def highlights(query: Query, texts: Sequence[str]) -> list[str]:
    """What in these texts makes them be found, as it is written there; each once whatever its case."""
    wanted = [node for branch in query.branches for node in branch.wanted]
    found: dict[str, str] = {}
    for text in texts:
        for run in runs(text):
            written = text[run.start : run.end]
            for piece in _found_in(folded(written), run.kind, written, wanted):
                found.setdefault(piece.lower(), piece)
    return list(found.values())


def _found_in(word: str, kind: Kind, written: str, wanted: Sequence[Phrase | Part]) -> Iterator[str]:
    for node in wanted:
        if isinstance(node, Part):
            if node.text in word:
                yield written
        elif kind is Kind.PAIRED:
            yield from _paired(node, word)
        elif any(
            word.startswith(lexeme.word) if lexeme.is_prefix else word[:MAX_WORD] == lexeme.word
            for lexeme in node.lexemes
        ):
            yield written


def _paired(phrase: Phrase, word: str) -> Iterator[str]:
    """The part of a phrase that is of a script without spaces, if it is in the run of characters."""
    paired = [lexeme for lexeme in phrase.lexemes if kind_of(lexeme.word[0]) is Kind.PAIRED]
    text = "".join(lexeme.word[0] for lexeme in paired) + "".join(paired[-1].word[1:] if paired else "")
    if text and text in word:
        yield text
