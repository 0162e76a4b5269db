"""Which servers a room admits (§Server Access Control Lists)."""

import ipaddress
import re
from dataclasses import dataclass

from protocol.glob import Glob, glob
from protocol.json import JsonObject

_PORT = re.compile(r":[0-9]+$")


@dataclass(frozen=True, slots=True)
class ServerAcl:
    """An m.room.server_acl event's content, ready for use; a room without such an event admits everybody."""

    allowed: tuple[Glob, ...]
    denied: tuple[Glob, ...]
    allow_ip_literals: bool

    @classmethod
    def of(cls, content: JsonObject) -> "ServerAcl":
        """The list that this content makes; nonsense in it counts as not there."""
        return cls(
            _globs(content.get("allow")),
            _globs(content.get("deny")),
            content.get("allow_ip_literals") is not False,
        )

    def allows(self, server_name: str) -> bool:
        """May the server take part in the room?"""
        host = _PORT.sub("", server_name).lower()
        # «If the server name is an IP address (v4 or v6) literal, and allow_ip_literals is present and false, deny.»
        if not self.allow_ip_literals and _is_ip_literal(host):
            return False
        # «If the server name matches an entry in the deny list, deny.»
        if any(entry.matches(host) for entry in self.denied):
            return False
        # «If the server name matches an entry in the allow list, allow. Otherwise, deny.»
        return any(entry.matches(host) for entry in self.allowed)


def _globs(entries: object) -> tuple[Glob, ...]:
    if not isinstance(entries, list):
        return ()
    return tuple(glob(entry.lower()) for entry in entries if isinstance(entry, str))


def _is_ip_literal(host: str) -> bool:
    if host.startswith("["):
        return True
    try:
        ipaddress.IPv4Address(host)
    except ValueError:
        return False
    return True
