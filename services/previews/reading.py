"""From a URL to what is said of it: the page, its oEmbed, and the bytes of a picture."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin

import orjson

from protocol.matrix_error import MatrixError
from services.isolated.port import Broken, Refused
from services.media.settings import Previews
from services.previews.addresses import checked_url
from services.previews.ports import Fetched, PageFailed
from services.tenant import Tenant

MAX_REDIRECTS = 5
MAX_OEMBED = 128 * 1024
HTML = ("text/html", "application/xhtml+xml")
JSON = ("application/json", "application/json+oembed", "text/json")
PICTURES = ("image/jpeg", "image/png", "image/gif", "image/webp", "image/avif")
_MAX_TEXT = 1_000
_OF_OEMBED = {"title": "og:title", "provider_name": "og:site_name", "author_name": "og:description"}


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture that was fetched."""

    content_type: str
    width: int
    height: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Read:
    """OpenGraph properties, without those of pictures, and perhaps a picture."""

    properties: dict[str, str]
    picture: Picture | None


async def read_url(tenant: Tenant, url: str, languages: str) -> Read:
    """What is known of the URL, within the time that the settings give. Raises PageFailed, or Forbidden where redirects lead to
    what is not looked at.
    """
    try:
        async with asyncio.timeout(tenant.settings.media.previews.timeout / 1000):
            return await _read(tenant, url, languages)
    except TimeoutError:
        raise PageFailed("it took too long") from None


async def _read(tenant: Tenant, url: str, languages: str) -> Read:
    final, fetched = await _followed(tenant, url, languages, (*HTML, *PICTURES))
    if fetched.content_type in PICTURES:
        return Read({}, await _measured(tenant, fetched))
    told = {"url": final, "charset": fetched.charset}
    try:
        page, _ = await tenant.isolated.run("page", told, fetched.body)
    except (Refused, Broken) as error:
        raise PageFailed(f"the page cannot be read: {error}") from None
    properties, images = dict(page["properties"]), list(page["images"])
    if page["oembed"] is not None:
        images = await _with_oembed(tenant, page["oembed"], languages, properties) + images
    return Read(properties, await _first_picture(tenant, images, languages))


async def read_picture(tenant: Tenant, url: str, limit: int) -> Picture:
    """The picture at the URL, of at most so many bytes, whatever sites previews are made of. Raises PageFailed, InvalidParam or
    Forbidden.
    """
    _, fetched = await _followed(tenant, url, "*", PICTURES, Previews(max_image=limit))
    return await _measured(tenant, fetched)


async def _with_oembed(tenant: Tenant, url: str, languages: str, properties: dict[str, str]) -> list[str]:
    """Adds what the page itself does not say; URLs of pictures, the best first. Its failures do no harm."""
    try:
        final, fetched = await _followed(tenant, url, languages, JSON)
        said = orjson.loads(fetched.body)
    except (MatrixError, PageFailed, orjson.JSONDecodeError):
        return []
    if not isinstance(said, dict):
        return []
    for name, meaning in _OF_OEMBED.items():
        value = said.get(name)
        if isinstance(value, str) and value.strip():
            properties.setdefault(meaning, value.strip()[:_MAX_TEXT])
    links: list[Any] = [said.get("url")] if said.get("type") == "photo" else []
    links.append(said.get("thumbnail_url"))
    return [urljoin(final, link) for link in links if isinstance(link, str)]


async def _first_picture(tenant: Tenant, urls: list[str], languages: str) -> Picture | None:
    """The first that there is; two are tried."""
    for url in urls[:2]:
        try:
            _, fetched = await _followed(tenant, url, languages, PICTURES)
            return await _measured(tenant, fetched)
        except (MatrixError, PageFailed):
            continue
    return None


async def _measured(tenant: Tenant, fetched: Fetched) -> Picture:
    """What its bytes say that it is, whatever was declared."""
    if not fetched.is_whole:
        raise PageFailed("the picture is too large")
    try:
        said, _ = await tenant.isolated.run("measure", {}, fetched.body)
    except (Refused, Broken) as error:
        raise PageFailed(f"the picture cannot be read: {error}") from None
    return Picture(str(said["content_type"]), int(said["width"]), int(said["height"]), fetched.body)


async def _followed(
    tenant: Tenant, url: str, languages: str, wanted: tuple[str, ...], previews: Previews | None = None
) -> tuple[str, Fetched]:
    """Where redirects end, and what is there; every step is checked as the first was."""
    previews = previews or tenant.settings.media.previews
    for _ in range(MAX_REDIRECTS + 1):
        url = checked_url(url, previews)
        fetched = await tenant.pages.get(url, languages, lambda kind: _limit(previews, kind, wanted))
        if fetched.location is None:
            if fetched.status != 200:
                raise PageFailed(f"the site answers {fetched.status}")
            if fetched.content_type not in wanted:
                raise PageFailed(f"there is nothing to show of {fetched.content_type[:100]}")
            return url, fetched
        try:
            url = urljoin(url, fetched.location)
        except ValueError:
            raise PageFailed("the site redirects wrongly") from None
    raise PageFailed("the site redirects without end")


def _limit(previews: Previews, kind: str, wanted: tuple[str, ...]) -> int:
    if kind not in wanted:
        return 0
    if kind in PICTURES:
        return previews.max_image
    return previews.max_page if kind in HTML else MAX_OEMBED
