"""Documents and queries in the form of PostgreSQL's tsvector and tsquery, of which we make the text ourselves.

All lexemes begin with the number of the room, so that a query reads nothing of other rooms in the index; then comes a
mark that tells the words of a body from those of a name, a sender or a type.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from protocol.search.query import Branch, Part, Phrase

BODY, NAME, TOPIC = ":", "=", "~"
SENDER, TYPE, URL = "@", "%", "#"
_ROOM = "\x01"  # where a template has the room's number; no lexeme has such a character
_MARK = "\x02"

Expansions = Mapping[Part, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Text:
    """The words of a document, under the mark of where they are from."""

    mark: str
    words: Sequence[str]


def vector(room: int, text: Text, sender: str, event_type: str | None, has_url: bool) -> str:
    """A document as the text of a tsvector; without an `event_type` it is an ordinary message."""
    places: dict[str, list[str]] = {}
    for place, word in enumerate(text.words, 1):
        places.setdefault(word, []).append(str(place))
    number = f"{room:x}"
    lexemes = [f"{_quoted(number + text.mark + word)}:{','.join(where)}" for word, where in places.items()]
    lexemes.append(_quoted(number + SENDER + sender))
    if event_type is not None:
        lexemes.append(_quoted(number + TYPE + event_type))
    if has_url:
        lexemes.append(_quoted(number + URL))
    return " ".join(lexemes)


@dataclass(frozen=True, slots=True)
class Terms:
    """What documents must have: any of the branches under any of the marks; one of the senders of each group, none of the
    others; one of the types, and an URL or none. A sender that ends with a colon is the beginning of one.
    """

    branches: Sequence[Branch]
    marks: Sequence[str] = (BODY, NAME, TOPIC)
    senders: Sequence[Sequence[str]] = ()
    not_senders: Sequence[str] = ()
    types: Sequence[str] | None = None
    has_url: bool | None = None


def template(terms: Terms, expansions: Expansions) -> str | None:
    """The query as the text of a tsquery for any room (`for_room`); None where nothing can be found."""
    branches = [text for branch in terms.branches if (text := _branch(branch, expansions)) is not None]
    if not branches or not terms.marks or not all(terms.senders) or terms.types == []:
        return None
    words = _any(branches)
    parts = [_any(words.replace(_MARK, mark) for mark in terms.marks)]
    parts += [_any(_sender(sender) for sender in group) for group in terms.senders]
    parts += ["!" + _sender(sender) for sender in terms.not_senders]
    if terms.types is not None:
        parts.append(_any(_quoted(_ROOM + TYPE + event_type) for event_type in terms.types))
    if terms.has_url is not None:
        parts.append(("" if terms.has_url else "!") + _quoted(_ROOM + URL))
    return " & ".join(parts)


def for_room(query: str, room: int) -> str:
    """The query for one room."""
    return query.replace(_ROOM, f"{room:x}")


def _branch(branch: Branch, expansions: Expansions) -> str | None:
    wanted = [_node(node, expansions) for node in branch.wanted]
    if None in wanted:
        return None
    unwanted = [text for node in branch.unwanted if (text := _node(node, expansions)) is not None]
    return "(" + " & ".join([*filter(None, wanted), *("!" + text for text in unwanted)]) + ")"


def _node(node: Phrase | Part, expansions: Expansions) -> str | None:
    """None: no word is like that."""
    if isinstance(node, Part):
        words = expansions.get(node, ())
        return _any(_quoted(_ROOM + _MARK + word) for word in words) if words else None
    text, last = "", 0
    for lexeme in node.lexemes:
        if text:
            text += f" <{lexeme.place - last}> "
        text += _quoted(_ROOM + _MARK + lexeme.word) + (":*" if lexeme.is_prefix else "")
        last = lexeme.place
    return f"({text})" if len(node.lexemes) > 1 else text


def _sender(sender: str) -> str:
    return _quoted(_ROOM + SENDER + sender) + (":*" if sender.endswith(":") else "")


def _any(parts: Iterable[str]) -> str:
    return "(" + " | ".join(parts) + ")"


def _quoted(lexeme: str) -> str:
    return "'" + lexeme.replace("\\", "\\\\").replace("'", "''") + "'"
