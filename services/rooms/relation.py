"""The relation of an event to another one, as its content states it (§Forming relationships between events)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from protocol.ids import EventID, fits
from protocol.json import JsonObject

ANNOTATION: Final = "m.annotation"
THREAD: Final = "m.thread"
REPLACE: Final = "m.replace"
REFERENCE: Final = "m.reference"


@dataclass(frozen=True, slots=True)
class Relation:
    """How an event relates to which; `key` is an annotation's."""

    rel_type: str
    parent: EventID
    key: str | None


def relation_in(content: JsonObject) -> Relation | None:
    """The relation that the content states; None where there is none, or nonsense."""
    relates_to = content.get("m.relates_to")
    if not isinstance(relates_to, dict):
        return None
    rel_type, parent, key = (relates_to.get(name) for name in ("rel_type", "event_id", "key"))
    if not isinstance(rel_type, str) or not isinstance(parent, str) or not is_storable(rel_type, parent):
        return None
    return Relation(rel_type, EventID(parent), key if isinstance(key, str) and is_storable(key) else None)


def is_storable(*texts: str) -> bool:
    """Can the texts be columns of ours? PostgreSQL stores no U+0000, and an index nothing long."""
    return all("\0" not in text and fits(text) for text in texts)
