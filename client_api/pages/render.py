"""Templates turned into pages: every value escaped, nothing from elsewhere, in nobody's frame."""

from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from web.reply import Reply

HTML = "text/html; charset=utf-8"
TEMPLATES = Path(__file__).parent / "templates"
STYLE = (TEMPLATES / "style.css").read_bytes()


def page(
    template: str, /, status: int = 200, also_to: str = "", of_others: bool = False, **values: Any
) -> Reply:
    """The page of a template; its forms lead to us, and `also_to` says where our answer to them may send the browser.

    `of_others`: it may load what is not ours, from several hosts, as captchas want it.
    """
    body = _templates().get_template(f"{template}.html").render(values).encode("utf-8", "replace")
    return Reply(status, body, _headers(also_to, of_others=of_others), HTML)


def see_other(location: str) -> Reply:
    """Sends a browser elsewhere; what it has posted stays here."""
    return Reply(303, b"", {"Location": location, "Cache-Control": "no-store"}, "text/plain")


def source_of(uri: str) -> str:
    """A URI in the language of content security policies: browsers hold the redirects of a form to them, too."""
    parts = urlsplit(uri)
    if parts.scheme == "https":
        return f"https://{parts.netloc}"
    # An address of IPv6 cannot be said there.
    return f"http://{parts.hostname}:*" if ":" not in (parts.hostname or ":") else f"{parts.scheme}:"


@cache
def _templates() -> Any:
    """Jinja2 takes 2 MiB: it is loaded with the first page."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    loader = FileSystemLoader(TEMPLATES)
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)


_OURS = "default-src 'none'; style-src 'self'"
_OF_OTHERS = (
    "default-src 'none'; style-src 'self' 'unsafe-inline' https:; script-src 'unsafe-inline' https:; "
    "frame-src https:; connect-src https:; img-src https: data:; worker-src blob:"
)


def _headers(also_to: str, *, of_others: bool) -> dict[str, str]:
    loads = _OF_OTHERS if of_others else _OURS
    policy = f"{loads}; base-uri 'none'; frame-ancestors 'none'; form-action 'self' {also_to}"
    return {
        "Content-Security-Policy": policy.strip(),
        "X-Frame-Options": "DENY",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
    }
