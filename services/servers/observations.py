"""What there is to tell of what other servers send."""

from __future__ import annotations

from dataclasses import dataclass

from protocol.ids import ServerName
from services.observations import Level


@dataclass(frozen=True, slots=True)
class EduRefused:
    """An EDU is broken, or says something that its origin may not say."""

    origin: ServerName
    edu_type: str
    reason: str
    level: Level = Level.INFO

    def __str__(self) -> str:
        return f"{self.edu_type} from {self.origin} is passed over: {self.reason}"
