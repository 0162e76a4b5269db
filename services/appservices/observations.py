"""What has been seen of application services."""

from __future__ import annotations

from dataclasses import dataclass

from services.observations import Level


@dataclass(frozen=True, slots=True)
class AppserviceFails:
    """An application service does not take what it is told; nothing is lost."""

    appservice: str
    reason: str
    level: Level = Level.WARNING

    def __str__(self) -> str:
        return f"application service {self.appservice}: {self.reason}; it will be tried again"


@dataclass(frozen=True, slots=True)
class AppserviceBack:
    """An application service takes again what it is told."""

    appservice: str
    level: Level = Level.INFO

    def __str__(self) -> str:
        return f"application service {self.appservice} is back"


@dataclass(frozen=True, slots=True)
class AppserviceAsked:
    """An application service could not be asked whether it knows something."""

    appservice: str
    what: str
    reason: str
    level: Level = Level.INFO

    def __str__(self) -> str:
        return f"application service {self.appservice} could not be asked for {self.what}: {self.reason}"
