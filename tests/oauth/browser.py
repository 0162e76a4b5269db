"""A browser without a screen: cookies, redirects and forms, until it is sent away from our server."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urlencode, urljoin, urlsplit

from multidict import CIMultiDict
from yarl import URL

from services.oauth.urls import ROOT
from tests.fixtures.homeserver import Homeserver


@dataclass
class Form:
    """A form of a page, filled in with what stands there."""

    method: str
    action: str
    fields: dict[str, str] = field(default_factory=dict)
    buttons: list[tuple[str, str]] = field(default_factory=list)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.links: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append(Form(said.get("method", "get"), said.get("action", "")))
        elif tag == "input" and self.forms and "name" in said and said.get("type") != "checkbox":
            self.forms[-1].fields[said["name"]] = said.get("value", "")
        elif tag == "button" and self.forms:
            self.forms[-1].buttons.append((said.get("name", ""), said.get("value", "")))
        elif tag == "a":
            self.links.append(said.get("href", ""))

    def handle_data(self, data: str) -> None:
        self.text += data


@dataclass
class Page:
    """What a browser shows, or, with `left_for`, whereto it was sent away."""

    url: str
    status: int
    headers: CIMultiDict[str]
    html: str = ""
    left_for: str | None = None
    forms: list[Form] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    text: str = ""

    @property
    def name(self) -> str:
        """The page's name: login, authorize..."""
        return urlsplit(self.url).path.rpartition("/")[2]


class Browser:
    """One person's browser; it knows our server by its public name."""

    def __init__(self, homeserver: Homeserver) -> None:
        self.homeserver = homeserver
        self.base = homeserver.tenant.settings.public_base_url
        self.cookies: dict[str, str] = {}
        self.page: Page | None = None

    def url(self, page: str) -> str:
        """Of one of the pages."""
        return f"{self.base}{ROOT}/{page}"

    async def open(self, url: str) -> Page:
        """GET, following redirects."""
        return await self._go("GET", url, None)

    async def visit(self, page: str) -> Page:
        """The same, for one of the pages."""
        return await self.open(self.url(page))

    async def submit(self, /, number: int = 0, **fields: str) -> Page:
        """Fills in and sends a form of the page that is shown."""
        assert self.page is not None
        form = self.page.forms[number]
        filled = form.fields | fields
        url = urljoin(self.page.url, form.action)
        if form.method == "get":
            return await self.open(f"{url}?{urlencode(filled)}")
        return await self._go("POST", url, filled)

    async def post(self, page: str, fields: dict[str, str]) -> Page:
        """Sends a form that no page has shown."""
        return await self._go("POST", self.url(page), fields)

    async def log_in(self, name: str, password: str) -> Page:
        """On the login page."""
        assert self.page is not None
        assert self.page.name == "login"
        return await self.submit(name=name, password=password)

    async def _go(self, method: str, url: str, form: dict[str, str] | None) -> Page:
        while True:
            if not url.startswith(self.base + "/"):
                self.page = Page(url, 0, CIMultiDict(), left_for=url)
                return self.page
            status, headers, html = await self._fetch(method, url, form)
            if status not in (302, 303):
                return self._show(url, status, headers, html)
            method, form, url = "GET", None, urljoin(url, headers["Location"])

    async def _fetch(
        self, method: str, url: str, form: dict[str, str] | None
    ) -> tuple[int, CIMultiDict[str], str]:
        at = URL(self.homeserver.url + url.removeprefix(self.base), encoded=True)
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}
        session = self.homeserver.session
        async with session.request(method, at, data=form, headers=headers, allow_redirects=False) as response:
            for said in response.headers.getall("Set-Cookie", []):
                name, _, value = said.partition(";")[0].partition("=")
                self.cookies[name] = value
            return response.status, CIMultiDict(response.headers), await response.text()

    def _show(self, url: str, status: int, headers: CIMultiDict[str], html: str) -> Page:
        reader = _Reader()
        reader.feed(html)
        self.page = Page(url, status, headers, html, None, reader.forms, reader.links, reader.text)
        return self.page
