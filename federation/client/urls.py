"""Where an https URL leads that a stranger gave."""

from __future__ import annotations

from urllib.parse import quote, urlsplit

from federation.client.addresses import as_ip
from federation.client.connections import Destination

HTTPS_PORT = 443


def destination_of(url: str) -> tuple[Destination, str]:
    """Where to connect to, and the path to ask for; raises ValueError for what is not https."""
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname or parts.username is not None:
        raise ValueError("not an https URL")
    port = HTTPS_PORT if parts.port is None else parts.port
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    ip = as_ip(parts.hostname)
    host = str(ip) if ip else parts.hostname
    return Destination([(host, port)], parts.netloc, host), quote(path, safe="/?%:@!$&'()*+,;=-._~[]")
