"""Filters applied to the events of timelines: what SQL can do, and the rest."""

from __future__ import annotations

from dataclasses import dataclass

from protocol.filters import EventFilter
from services.rooms.tail import TailEvent
from storage.timeline import Wanted


@dataclass(frozen=True, slots=True)
class _Seen:
    """What filters look at in an event of a timeline."""

    type: str
    sender: str
    content: dict[str, str]


def lets_through(wanted: EventFilter, event: TailEvent) -> bool:
    """Does the filter let the event through?"""
    return wanted.matches(_Seen(event.type, event.sender, {"url": ""} if event.has_url else {}))


def wanted_by(events: EventFilter) -> Wanted:
    """The filter as far as SQL knows it."""
    types = [pattern.literal for pattern in events.types] if events.types is not None else None
    return Wanted(
        tuple(t for t in types if t is not None) if types is not None and None not in types else None,
        tuple(pattern.literal for pattern in events.not_types if pattern.literal is not None),
        tuple(events.senders) if events.senders is not None else None,
        tuple(events.not_senders),
    )


def is_for_sql_alone(events: EventFilter) -> bool:
    """Does SQL know all that the filter asks for?"""
    patterns = (*(events.types or ()), *events.not_types)
    return events.contains_url is None and all(pattern.literal is not None for pattern in patterns)
