"""The port: a virus scanner."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol


class ScannerFailed(Exception):
    """It cannot be reached, does not answer in time, or does not scan such a file."""


class Scanner(Protocol):
    """Looks through bytes."""

    async def scan(self, chunks: AsyncIterator[bytes]) -> str | None:
        """The name of what was found, None when nothing was; raises ScannerFailed."""
