"""The web, as strangers' links lead into it: nothing private is reached, whatever names, addresses and redirects say.

The address that was checked is the one that is connected to; private networks that federation may reach are not meant here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final
from urllib.parse import quote, urlsplit

from aiohttp import ClientError, ClientResponse

from federation.client.addresses import as_ip
from federation.client.connections import Connections, Destination
from federation.client.names import Names, SystemNames
from services.previews.addresses import PORTS
from services.previews.ports import Fetched, PageFailed
from services.settings import Federation, Settings

AT_ONCE: Final = 16
_REDIRECTS: Final = (301, 302, 303, 307, 308)
_ACCEPT: Final = "text/html,application/xhtml+xml,image/*;q=0.9,application/json;q=0.8,*/*;q=0.1"


class PageRequests:
    """Asks the web; nothing is opened before somebody does, `close` ends its connections."""

    def __init__(self, settings: Settings, names: Names | None) -> None:
        """`names` is the domain name system; None: the machine's."""
        self._settings = settings
        self._names = names
        self._system: SystemNames | None = None
        self._opened: Connections | None = None
        self._places = asyncio.Semaphore(AT_ONCE)

    async def get(self, url: str, languages: str, limit_of: Callable[[str], int]) -> Fetched:
        """What the URL answers; of the body so many bytes as `limit_of` says for its type. Raises PageFailed."""
        headers = {"Accept": _ACCEPT, "Accept-Language": languages}
        seconds = self._settings.media.previews.timeout / 1000
        try:
            destination, path = _destination(url)
            async with self._places:
                async with self._connections().request(
                    "GET", destination, path, headers=headers, seconds=seconds
                ) as response:
                    return await _fetched(response, limit_of)
        except TimeoutError:
            raise PageFailed("the site did not answer in time") from None
        except (ClientError, OSError, ValueError) as error:
            raise PageFailed(f"the site cannot be asked ({type(error).__name__})") from None

    async def close(self) -> None:
        """Ends all connections."""
        if self._opened is not None:
            await self._opened.close()
        if self._system is not None:
            self._system.close()

    def _connections(self) -> Connections:
        if self._opened is None:
            if self._names is None:
                self._names = self._system = SystemNames()
            allowed = self._settings.media.previews.allowed_private_networks
            trusted = self._settings.federation.ca_file
            self._opened = Connections(
                Federation(ca_file=trusted, allowed_private_networks=allowed), self._names
            )
        return self._opened


def _destination(url: str) -> tuple[Destination, str]:
    """Raises ValueError for what is no URL of the web, or names credentials; whether its port may be asked was seen before."""
    parts = urlsplit(url)
    usual = PORTS.get(parts.scheme)
    if usual is None or not parts.hostname or parts.username is not None:
        raise ValueError("not a URL of the web")
    port = usual if parts.port is None else parts.port
    ip = as_ip(parts.hostname)
    host = str(ip) if ip else parts.hostname.encode("idna").decode()
    shown = f"[{host}]" if ":" in host else host
    if port != usual:
        shown = f"{shown}:{port}"
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Destination([(host, port)], shown, host, parts.scheme), quote(path, safe="/?%:@!$&'()*+,;=-._~[]")


async def _fetched(response: ClientResponse, limit_of: Callable[[str], int]) -> Fetched:
    location = response.headers.get("Location") if response.status in _REDIRECTS else None
    kind = response.content_type.lower()
    limit = limit_of(kind) if location is None and response.status == 200 else 0
    body, is_whole = bytearray(), True
    if limit:
        async for chunk in response.content.iter_any():  # decompressed
            body += chunk
            if len(body) > limit:
                is_whole = False
                break
    return Fetched(response.status, kind, response.charset, location, bytes(body[:limit]), is_whole)
