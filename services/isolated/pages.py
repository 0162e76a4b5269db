"""What a page tells of itself: OpenGraph, Twitter's cards, plain HTML, and where its oEmbed is; runs in the child process.

The parser (lexbor) is slow for what is nested without end; time and memory of the process are what bounds it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urljoin, urlsplit

from selectolax.lexbor import LexborHTMLParser, LexborNode

from services.isolated.charsets import decoded
from services.isolated.port import Refused

MAX_TEXT = 1_000
MAX_PROPERTIES = 50
MAX_IMAGES = 5
_SILENT = "script, style, noscript, template, svg, nav, header, footer, aside, form, iframe, object, select"
_SMALLEST = 64  # pixels of a side: below are icons and trackers
_NAME = re.compile(r"(og|article|book|profile|video|music|fb|twitter):[a-z0-9:_-]{1,60}")
_OF_PICTURES = re.compile(r"(og:(image|video|audio)|twitter:(image|player))(:|$)")
_CARDS = {
    "og:title": "twitter:title",
    "og:description": "twitter:description",
    "og:site_name": "twitter:site",
}


def read_page(told: dict[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
    """`properties` (og:title and so on), `images` (URLs, the most likely first) and `oembed` (a URL or None) of the page at
    `url`; `charset` is what its header says. Raises Refused for what cannot be read.
    """
    text = decoded(data, told.get("charset"))
    try:
        tree = LexborHTMLParser(text)
    except (ValueError, RuntimeError, TypeError) as error:
        raise Refused(f"no HTML: {error}") from None
    base = _base(tree, told["url"])
    metas = dict(_metas(tree))
    properties = {name: value for name, value in metas.items() if not _OF_PICTURES.match(name)}
    _add(properties, "og:title", metas.get(_CARDS["og:title"]) or _title(tree))
    described = metas.get(_CARDS["og:description"]) or _named(tree, "description")
    _add(properties, "og:description", described or _first_text(tree))
    _add(properties, "og:site_name", metas.get("twitter:site") or None)
    images = list(_images(tree, metas, base))[:MAX_IMAGES]
    kept = {name: value for name, value in properties.items() if not name.startswith("twitter:")}
    return {"properties": kept, "images": images, "oembed": _oembed(tree, base)}, b""


def _add(properties: dict[str, str], name: str, value: str | None) -> None:
    if value and not properties.get(name):
        properties[name] = value


def _base(tree: LexborHTMLParser, url: str) -> str:
    node = tree.css_first("base[href]")
    return url if node is None else _joined(url, node.attributes.get("href")) or url


def _joined(base: str, link: str | None) -> str | None:
    """An absolute http(s) URL, or None."""
    try:
        url = urljoin(base, (link or "").strip())
        return url if urlsplit(url).scheme in ("http", "https") and len(url) <= 2_000 else None
    except ValueError:
        return None


def _metas(tree: LexborHTMLParser) -> Iterator[tuple[str, str]]:
    """The first of each name counts; no more than some."""
    seen: set[str] = set()
    for node in tree.css("meta"):
        name = (node.attributes.get("property") or node.attributes.get("name") or "").strip().lower()
        value = _tidy(node.attributes.get("content"))
        if value and name not in seen and _NAME.fullmatch(name):
            seen.add(name)
            yield name, value
            if len(seen) == MAX_PROPERTIES:
                return


def _named(tree: LexborHTMLParser, name: str) -> str | None:
    node = tree.css_first(f'meta[name="{name}" i]')
    return None if node is None else _tidy(node.attributes.get("content"))


def _title(tree: LexborHTMLParser) -> str | None:
    for selector in ("title", "h1", "h2"):
        node = tree.css_first(selector)
        title = None if node is None else _tidy(node.text(deep=True))
        if title:
            return title
    return None


def _first_text(tree: LexborHTMLParser) -> str | None:
    """The page's first paragraphs."""
    for node in tree.css(_SILENT):
        node.decompose()
    said: list[str] = []
    for node in tree.css("p, article, blockquote, li") or ([tree.body] if tree.body else []):
        text = _tidy(node.text(deep=True, separator=" "))
        if text and len(text) > 20 and not any(text in before for before in said):
            said.append(text)
        if sum(map(len, said)) > 300:
            break
    if not said and tree.body is not None:
        said = [_tidy(tree.body.text(deep=True, separator=" ")) or ""]
    return _tidy(" ".join(said)[:300])


def _images(tree: LexborHTMLParser, metas: dict[str, str], base: str) -> Iterator[str]:
    links = [metas.get(name) for name in ("og:image:secure_url", "og:image", "og:image:url", "twitter:image")]
    node = tree.css_first("link[rel=image_src]")
    links.append(None if node is None else node.attributes.get("href"))
    links += [node.attributes.get("src") for node in tree.css("img[src]")[:50] if not _is_small(node)]
    for selector in ("link[rel=apple-touch-icon]", "link[rel~=icon]"):
        node = tree.css_first(selector)
        links.append(None if node is None else node.attributes.get("href"))
    seen: set[str] = set()
    for link in links:
        url = _joined(base, link) if link else None
        if url is not None and url not in seen:
            seen.add(url)
            yield url


def _is_small(node: LexborNode) -> bool:
    for side in ("width", "height"):
        said = re.match(r"\d{1,5}", node.attributes.get(side) or "")
        if said and int(said[0]) < _SMALLEST:
            return True
    return False


def _oembed(tree: LexborHTMLParser, base: str) -> str | None:
    node = tree.css_first('link[type="application/json+oembed"]')
    return None if node is None else _joined(base, node.attributes.get("href"))


def _tidy(text: str | None) -> str | None:
    tidy = re.sub(r"\s+", " ", (text or "")[: 4 * MAX_TEXT].replace("\0", "")).strip()
    return tidy[:MAX_TEXT] or None
