"""Text as the words that it is found by: without case and accents; scripts that have no spaces as pairs of characters.

A text and a search term go through the same steps: compatibility decomposition, case folding, accents off, composition
again. Then runs of letters and digits are words. Of scripts that do not set words apart (Chinese, Japanese, Thai, Lao,
Khmer, Myanmar; Korean, which glues particles to words) every two neighbours are a word, and the last character of a
run is one of its own: so each piece of a run is a phrase of pairs, and one character is the beginning of a word. A
symbol, such as an emoji, is a word too. Words have positions, which phrases are found by.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from typing import Final

MAX_CHARACTERS: Final = 16_384
MAX_WORDS: Final = 2_000
MAX_WORD: Final = 64  # characters of a word; the rest does not count


class Kind(IntEnum):
    """What a character is to a word."""

    SPLIT = 0
    LETTER = 1
    PAIRED = 2  # of a script without spaces
    SYMBOL = 3
    MARK = 4  # goes with what is before it


@dataclass(frozen=True, slots=True)
class Run:
    """Characters of one kind that follow one another in a text."""

    kind: Kind
    start: int
    end: int


# Accents, vowel points and the like; not the signs without which there is no word to be read (Devanagari, Thai, kana).
_ACCENTS: Final = re.compile(
    "[\u0300-\u036f\u0483-\u0487\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u064b-\u065f\u0670"
    "\u06d6-\u06dc\u06df-\u06e4\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe00-\ufe0f\ufe20-\ufe2f]+"
)
_PAIRED: Final = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x3005, 0x3007),  # Han: iteration mark, zero
    (0x3041, 0x30FF),  # Hiragana, Katakana
    (0x31F0, 0x31FF),
    (0x3400, 0x4DBF),  # Han
    (0x4E00, 0x9FFF),
    (0xA9E0, 0xA9FF),  # Myanmar
    (0xAA60, 0xAA7F),
    (0xAC00, 0xD7A3),  # Hangul
    (0xF900, 0xFAFF),
    (0x20000, 0x3FFFF),
)
_PLAIN: Final = re.compile("[a-z0-9]+")


def folded(text: str) -> str:
    """The text without case, accents and other differences that a person who searches does not mean."""
    if text.isascii():
        return text.lower()
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    # Folding may leave something to decompose, and decomposing something to fold.
    decomposed = unicodedata.normalize("NFKD", decomposed.casefold())
    return unicodedata.normalize("NFC", _ACCENTS.sub("", decomposed))


@lru_cache(8192)
def kind_of(character: str) -> Kind:
    """What the character is to a word."""
    category = unicodedata.category(character)
    if category[0] in "LN":
        code = ord(character)
        return Kind.PAIRED if any(first <= code <= last for first, last in _PAIRED) else Kind.LETTER
    if category[0] == "M":
        return Kind.MARK
    return Kind.SYMBOL if category == "So" else Kind.SPLIT


def runs(text: str) -> Iterator[Run]:
    """The runs of the text that words come from; each symbol is a run."""
    begun, start = Kind.SPLIT, 0
    for place, character in enumerate(text):
        kind = kind_of(character)
        if kind is Kind.MARK and begun is not Kind.SPLIT:
            continue
        if kind is not begun or kind is Kind.SYMBOL:
            if begun in _WORDS:
                yield Run(begun, start, place)
            begun, start = kind, place
    if begun in _WORDS:
        yield Run(begun, start, len(text))


_WORDS: Final = (Kind.LETTER, Kind.PAIRED, Kind.SYMBOL)


def words(text: str) -> list[str]:
    """The words of a text; each one's position is its place in the list."""
    return words_of_folded(folded(text[:MAX_CHARACTERS]))


def words_of_folded(text: str) -> list[str]:
    """The words of a text that is folded already."""
    if text.isascii():
        return [word[:MAX_WORD] for word in _PLAIN.findall(text)[:MAX_WORDS]]
    found: list[str] = []
    for run in runs(text):
        characters = text[run.start : run.end]
        if run.kind is Kind.PAIRED:
            found += pairs(characters)
        else:
            found.append(characters[:MAX_WORD])
        if len(found) >= MAX_WORDS:
            break
    return found[:MAX_WORDS]


def pairs(characters: str) -> list[str]:
    """The words of a run of a script without spaces: one for each of its characters."""
    return [characters[place : place + 2] for place in range(len(characters))]
