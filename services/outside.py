"""A port: HTTPS to what is no homeserver but speaks JSON, such as identity servers and captcha providers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import orjson

from protocol.ids import ServerName
from protocol.json import JsonObject
from protocol.matrix_error import MatrixError, Translated, Unknown

BAD_GATEWAY = 502
MAX_ANSWER = 256 * 1024


class OutsideFailed(Translated):
    """It cannot be reached, or not in time; to our own caller it is a bad gateway."""

    def __init__(self, message: str) -> None:
        super().__init__(message, Unknown(message, status=BAD_GATEWAY))


@dataclass(frozen=True, slots=True)
class Asked:
    """A request; `signed_for` names the server that sees our signature (X-Matrix), as identity servers want it, and
    `signed_name` the member of what is signed that names it.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None = None
    signed_for: ServerName | None = None
    signed_name: str = "destination"


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered, whatever the status; redirects are not followed."""

    status: int
    body: bytes

    def json(self) -> JsonObject | None:
        """The JSON object that it is, or None."""
        try:
            said = orjson.loads(self.body)
        except orjson.JSONDecodeError:
            return None
        return said if isinstance(said, dict) else None

    def refusal(self) -> MatrixError | None:
        """The Matrix error that it is, or None."""
        said = self.json() or {}
        errcode, error = said.get("errcode"), said.get("error")
        if self.status < 400 or not isinstance(errcode, str):
            return None
        status = self.status if self.status < 500 else BAD_GATEWAY
        return MatrixError(error if isinstance(error, str) else errcode, status=status, errcode=errcode)


class Outside(Protocol):
    """Asks servers of the Internet, and of private networks only where that is allowed."""

    async def ask(self, asked: Asked) -> Answer:
        """The answer; raises OutsideFailed."""


class NobodyOutside:
    """Where nobody is asked."""

    async def ask(self, _: Any) -> Answer:
        """Raises OutsideFailed."""
        raise OutsideFailed("this server asks nobody")
