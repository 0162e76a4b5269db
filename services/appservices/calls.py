"""The port through which application services are asked and told: fulfilled by the assembly, which knows how to speak HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import orjson

from services.appservices.registry import Appservice


@dataclass(frozen=True, slots=True)
class Question:
    """A request to an application service: `path` is behind `base`, its segments quoted.

    `legacy` is the whole path that the endpoint had before it had a version (§Legacy routes), where it had one.
    """

    method: str
    path: str
    legacy: str | None = None
    query: Sequence[tuple[str, str]] = ()
    body: bytes | None = None
    seconds: float = 30.0
    base: str = "/_matrix/app/v1"


@dataclass(frozen=True, slots=True)
class Answer:
    """What the application service said, at most `MAX_ANSWER` bytes of it."""

    status: int
    body: bytes

    @property
    def is_ok(self) -> bool:
        """Has it done, or does it know, what it was asked?"""
        return 200 <= self.status < 300

    def json(self) -> Any:
        """What the body says; None for what is no JSON."""
        try:
            return orjson.loads(self.body)
        except ValueError:
            return None


class Unreachable(Exception):
    """The application service could not be asked: `timed_out` when it took too long."""

    def __init__(self, reason: str, *, timed_out: bool = False) -> None:
        super().__init__(reason)
        self.timed_out = timed_out


class Calls(Protocol):
    """Asks application services at the URL of their registration."""

    async def ask(self, appservice: Appservice, question: Question) -> Answer:
        """Its answer, whatever status that has; raises Unreachable."""


class NoCalls:
    """Where there are no application services."""

    async def ask(self, appservice: Appservice, question: Question) -> Answer:
        """Raises Unreachable."""
        raise Unreachable("application services are not asked here")
