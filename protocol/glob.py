"""Glob-style matching (§Glob-style matching), in time that does not explode with the number of wildcards.

A pattern is cut at its `*` into pieces of fixed length. If a pattern matches at all, it does so with each piece at
its earliest place, hence one search a piece is enough and nothing is ever tried again.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from re import Pattern
from typing import Final

# «A word boundary is defined as the start or end of the value, or any character not in the sets [A-Z], [a-z], [0-9]
# or _.»
_BEFORE_WORD: Final = "(?<![A-Za-z0-9_])"
_AFTER_WORD: Final = "(?![A-Za-z0-9_])"


@dataclass(frozen=True, slots=True)
class Glob:
    """A compiled pattern. Case counts; who wants it not to count lowers pattern and text."""

    pieces: tuple[Pattern[str], ...]
    literal: str | None

    def matches(self, text: str) -> bool:
        """Does the pattern match the whole text?"""
        if self.literal is not None:
            return text == self.literal
        match = self.pieces[0].match(text)
        for piece in self.pieces[1:]:
            if match is None:
                return False
            match = piece.search(text, match.end())
        return match is not None


@dataclass(frozen=True, slots=True)
class WordGlob:
    """A pattern that is looked for inside a text."""

    pieces: tuple[Pattern[str], ...]

    def is_in(self, text: str) -> bool:
        """Does the pattern match a part of the text that begins and ends at word boundaries?"""
        position = 0
        for piece in self.pieces:
            match = piece.search(text, position)
            if match is None:
                return False
            position = match.end()
        return True


def glob(pattern: str) -> Glob:
    """A pattern with `*` for any characters and `?` for one."""
    return _whole(pattern, pattern.replace("?", "*"), _piece)


def star_glob(pattern: str) -> Glob:
    """A pattern with `*` for any characters and nothing else, as filters have it (§Filtering)."""
    return _whole(pattern, pattern, re.escape)


def word_glob(pattern: str) -> WordGlob:
    """A pattern with `*` and `?` to be found at word boundaries."""
    return _words([_piece(piece) for piece in pattern.split("*")])


def word_literal(text: str) -> WordGlob:
    """A text without wildcards to be found at word boundaries."""
    return _words([re.escape(text)])


def _whole(pattern: str, wildcards: str, piece: Callable[[str], str]) -> Glob:
    if "*" not in wildcards:
        return Glob((), pattern)
    sources = [piece(part) for part in pattern.split("*")]
    sources[-1] += r"\Z"
    return Glob(tuple(re.compile(source, re.DOTALL) for source in sources), None)


def _words(sources: list[str]) -> WordGlob:
    sources[0] = _BEFORE_WORD + sources[0]
    sources[-1] += _AFTER_WORD
    return WordGlob(tuple(re.compile(source, re.DOTALL) for source in sources))


def _piece(text: str) -> str:
    return re.escape(text).replace(r"\?", ".")
