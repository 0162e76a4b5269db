"""Observations: what the code has seen happen, as values; logs and metrics decide what to tell."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol


class Level(IntEnum):
    """How much an observation matters, on the scale of the logging module."""

    DEBUG = 10
    INFO = 20
    WARNING = 30
    ERROR = 40


class Observation(Protocol):
    """Anything that happened: a readable sentence (`str`) and how much it matters."""

    @property
    def level(self) -> Level:
        """How much it matters."""


@dataclass(frozen=True, slots=True)
class BackgroundFailure:
    """A background loop met an error and goes on."""

    loop: str
    error: BaseException
    level: Level = Level.ERROR

    def __str__(self) -> str:
        return f"{self.loop}: {self.error!r}; going on"
