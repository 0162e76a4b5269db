"""What became of a mail."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Outcome:
    """Why the mail server did not take the mail, if it did not, and whether there is no use in trying again."""

    refusal: str | None = None
    is_final: bool = False
