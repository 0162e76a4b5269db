"""The port: one request to the web, at addresses that may be connected to; redirects are told, not followed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from protocol.matrix_error import Translated, Unknown

BAD_GATEWAY = 502


class PageFailed(Translated):
    """It cannot be reached, or not in time, or is nothing that can be shown; to our own caller it is a bad gateway."""

    def __init__(self, message: str) -> None:
        super().__init__(message, Unknown(f"There is no preview: {message}", status=BAD_GATEWAY))


@dataclass(frozen=True, slots=True)
class Fetched:
    """What was answered; `content_type` has no parameters, `is_whole` is false where the body went on."""

    status: int
    content_type: str
    charset: str | None
    location: str | None
    body: bytes
    is_whole: bool


class Pages(Protocol):
    """Asks the web."""

    async def get(self, url: str, languages: str, limit_of: Callable[[str], int]) -> Fetched:
        """What the URL answers; of the body so many bytes as `limit_of` says for its type. Raises PageFailed."""


class NoPages:
    """Where nobody is asked."""

    async def get(self, url: str, languages: str, limit_of: Callable[[str], int]) -> Fetched:
        """Raises PageFailed."""
        raise PageFailed("this server asks nobody")
