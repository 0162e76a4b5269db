"""The port: a function's name, JSON and bytes go in; JSON and bytes come out, or it failed."""

from __future__ import annotations

from typing import Protocol

from protocol.json import JsonObject


class Refused(Exception):
    """The bytes are not what the function works on; the message says why."""


class Broken(Exception):
    """The process crashed, ran out of memory or time, and is gone: nothing is known but that these bytes did it."""


class Isolated(Protocol):
    """Runs one of `services.isolated.child.FUNCTIONS` elsewhere."""

    async def run(self, function: str, told: JsonObject, data: bytes) -> tuple[JsonObject, bytes]:
        """What the function returns; raises Refused or Broken."""


class NoIsolation:
    """Where there is no such process, as in short commands."""

    async def run(self, function: str, told: JsonObject, data: bytes) -> tuple[JsonObject, bytes]:
        """Raises Broken."""
        raise Broken("nothing is run here")
