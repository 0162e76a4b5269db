"""The settings of previews, thumbnails and of what may be uploaded."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Network, IPv6Network

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Previews:
    """Whether and of what sites users get previews; domains stand for their subdomains, and may have * and ?."""

    enabled: bool = False
    denied_domains: tuple[str, ...] = ()
    allowed_domains: tuple[str, ...] = ()
    languages: str = "en"
    ports: tuple[range, ...] = (range(80, 81), range(443, 444))
    allowed_private_networks: tuple[IPv4Network | IPv6Network, ...] = ()
    max_page: int = MIB
    max_image: int = 10 * MIB
    timeout: int = 15_000
    lifetime: int = 3_600_000
    kept: int = 30 * 86_400_000


@dataclass(frozen=True, slots=True)
class Thumbnails:
    """How pictures are made smaller, by how many processes with how much memory each, and how long one may take."""

    processes: int = 2
    memory: int = 1024 * MIB
    timeout: int = 10_000
    largest_dynamic: int | None = None


class Mismatch(Enum):
    """What becomes of a file that is not what it says it is."""

    OPAQUE = "opaque"
    BLOCK = "block"
    QUARANTINE = "quarantine"


class ScannerDown(Enum):
    """What becomes of files while the virus scanner does not answer."""

    REFUSE = "refuse"
    ALLOW = "allow"


class Infected(Enum):
    """What becomes of a file in which the virus scanner finds something."""

    QUARANTINE = "quarantine"
    BLOCK = "block"


@dataclass(frozen=True, slots=True)
class Checks:
    """What may be uploaded: types have * and ?; no allowed ones: all are. The scanner is tcp://host:port or unix:/path."""

    mismatch: Mismatch = Mismatch.OPAQUE
    allowed_types: tuple[str, ...] = ()
    blocked_types: tuple[str, ...] = ()
    scanner: str | None = None
    scanner_down: ScannerDown = ScannerDown.REFUSE
    infected: Infected = Infected.QUARANTINE
    scanner_timeout: int = 60_000
