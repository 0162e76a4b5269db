"""Which URLs are looked at at all, before a name is looked up."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from urllib.parse import SplitResult, urlsplit

from protocol.matrix_error import Forbidden, InvalidParam
from services.media.settings import Previews

MAX_URL = 2_000
PORTS = {"http": 80, "https": 443}
"""Where no other is named."""


def checked_url(url: str, previews: Previews) -> str:
    """The URL without its fragment. Raises InvalidParam for what is none of the web's, Forbidden for what is not looked at."""
    parts = _split(url)
    if parts.scheme not in PORTS or not parts.hostname:
        raise InvalidParam("url must be an http or https URL")
    if parts.username is not None or parts.password is not None:
        raise Forbidden("URLs with a name and a password are not looked at")
    port = PORTS[parts.scheme] if parts.port is None else parts.port
    if not any(port in ports for ports in previews.ports):
        raise Forbidden("Sites are not asked at this port")
    host = parts.hostname.rstrip(".").lower()
    if _is_among(host, previews.denied_domains) or (
        previews.allowed_domains and not _is_among(host, previews.allowed_domains)
    ):
        raise Forbidden("There are no previews of this site here")
    return parts._replace(fragment="").geturl()


def _split(url: str) -> SplitResult:
    if len(url.encode()) > MAX_URL or re.search(r"[\x00-\x20\x7f\\]", url):
        raise InvalidParam("This is not a URL")
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise InvalidParam("This is not a URL") from None
    return parts


def _is_among(host: str, patterns: tuple[str, ...]) -> bool:
    """A domain stands for its subdomains too; `*` and `?` are allowed."""
    return any(fnmatchcase(host, one) or fnmatchcase(host, f"*.{one}") for one in map(str.lower, patterns))
