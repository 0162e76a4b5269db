"""What was said elsewhere, to be imported."""

from __future__ import annotations

from dataclasses import dataclass

from protocol.ids import UserID
from protocol.json import JsonObject


@dataclass(frozen=True, slots=True)
class Past:
    """Something that was said, by whom, and when (ms)."""

    sender: UserID
    type: str
    content: JsonObject
    at: int
