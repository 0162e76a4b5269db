"""Filters applied to the events of timelines: what SQL can do, and the rest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from protocol.filters import EventFilter
from services.rooms.tail import TailEvent
from storage.timeline import Wanted


@dataclass(frozen=True, slots=True)
class Seen:
    """What filters look at in an event."""

    type: str
    sender: str
    content: Mapping[str, Any]


def lets_through(wanted: EventFilter, event: TailEvent) -> bool:
    """Does the filter let the event through?"""
    content: dict[str, Any] = {"url": ""} if event.has_url else {}
    if event.rel_type is not None:
        content["m.relates_to"] = {"rel_type": event.rel_type}
    return wanted.matches(Seen(event.type, event.sender, content))


def wanted_by(events: EventFilter) -> Wanted:
    """The filter as far as SQL knows it."""
    types = [pattern.literal for pattern in events.types] if events.types is not None else None
    return Wanted(
        _storable(types) if types is not None and None not in types else None,
        _storable(pattern.literal for pattern in events.not_types),
        _storable(events.senders) if events.senders is not None else None,
        _storable(events.not_senders),
        _storable(events.related_by_rel_types) if events.related_by_rel_types is not None else None,
        _storable(events.related_by_senders) if events.related_by_senders is not None else None,
    )


def _storable(texts: Iterable[str | None]) -> tuple[str, ...]:
    """Without what no event can have: PostgreSQL's text has no U+0000."""
    return tuple(text for text in texts if text is not None and "\0" not in text)


def needs_relations(events: EventFilter) -> bool:
    """Does the filter ask for what relates to the events? Only SQL knows that."""
    return events.related_by_rel_types is not None or events.related_by_senders is not None


def is_for_sql_alone(events: EventFilter) -> bool:
    """Does SQL know all that the filter asks for?"""
    patterns = (*(events.types or ()), *events.not_types)
    is_of_content = events.contains_url is not None or events.asks_rel_type
    return not is_of_content and all(pattern.literal is not None for pattern in patterns)
