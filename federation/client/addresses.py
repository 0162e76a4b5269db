"""Which addresses may be connected to: those of the Internet, and private ones only where they are allowed.

Server names come from strangers. Whoever may choose the name must not thereby reach what only we can reach.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

IPAddress = IPv4Address | IPv6Address
IPNetwork = IPv4Network | IPv6Network

_NAT64: Final = (IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48"))
_COMPATIBLE: Final = IPv6Network("::/96")
# What `is_global` of all supported Python versions does not tell: shared, benchmarking, relay and documentation space.
_NEVER: Final[tuple[IPNetwork, ...]] = (
    IPv4Network("0.0.0.0/8"),
    IPv4Network("100.64.0.0/10"),
    IPv4Network("192.0.0.0/24"),
    IPv4Network("192.88.99.0/24"),
    IPv4Network("198.18.0.0/15"),
    IPv4Network("224.0.0.0/3"),
    IPv6Network("100::/64"),
    IPv6Network("2001::/23"),
    IPv6Network("2001:db8::/32"),
    IPv6Network("3fff::/20"),
    IPv6Network("5f00::/16"),
    IPv6Network("fec0::/10"),
    IPv6Network("ff00::/8"),
)


class Guard:
    """Says of each address whether it may be connected to."""

    def __init__(self, allowed: Iterable[IPNetwork] = ()) -> None:
        self._allowed = tuple(allowed)

    def permits(self, address: IPAddress) -> bool:
        """May it? An IPv6 address that stands for an IPv4 one is judged as that one too."""
        inner = embedded(address)
        if inner is not None:
            return self.permits(inner)
        if any(address in network for network in self._allowed):  # of another IP version: not in it
            return True
        return address.is_global and not any(address in network for network in _NEVER)


def embedded(address: IPAddress) -> IPv4Address | None:
    """The IPv4 address that is reached through this IPv6 one: mapped, compatible, NAT64, 6to4, Teredo."""
    if not isinstance(address, IPv6Address):
        return None
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    if address in _NAT64[0] or address in _NAT64[1]:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    if address in _COMPATIBLE and int(address) > 0xFFFF:  # `::` and `::1` are themselves
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return None


def as_ip(host: str) -> IPAddress | None:
    """The address that the host is a literal of, in brackets or not; None for names."""
    try:
        address = ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        return None
    return address if getattr(address, "scope_id", None) is None else None
