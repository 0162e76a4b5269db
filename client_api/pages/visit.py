"""A browser that looks at one of our pages: its cookie, who is signed in, its forms, and where it goes next."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import wraps
from typing import Any
from urllib.parse import quote, urlencode

from client_api import AnonymousCall
from client_api.oauth_server_metadata import check_enabled
from client_api.pages.render import page, see_other, source_of
from protocol.ids import UserID
from protocol.matrix_error import MatrixError
from services.oauth.browsers import (
    LIFETIME,
    Browser,
    browser_of,
    check_form,
    forget,
    form_token,
    new_secret,
    remember,
)
from services.oauth.errors import NotToBeRedirected
from services.settings import SECOND
from services.tenant import Tenant
from web.query import parse_query
from web.reply import Reply

# Where a browser may be sent after it has signed in: pages of ours, and nothing else.
_ONWARD = re.compile(r"(account|authorize|link|sso)(\?[!-~]*)?")
MAX_FORM = 64 * 1024

Show = Callable[[AnonymousCall], Awaitable[Reply]]


@dataclass(frozen=True, slots=True)
class Visit:
    """One look at a page; `browser` is None where nobody is signed in."""

    call: AnonymousCall
    secret: str
    is_new: bool
    browser: Browser | None

    @property
    def tenant(self) -> Tenant:
        """Whose pages these are."""
        return self.call.tenant

    def page(
        self, template: str, /, status: int = 200, also_to: str = "", of_others: bool = False, **values: Any
    ) -> Reply:
        """A page for this browser; its forms carry `form_token`."""
        values = {"server": self.tenant.name, "form_token": form_token(self.secret), **values}
        values["user_id"] = self.browser.user_id if self.browser else None
        # Clients that need not be asked for: the answer to a form may lead straight to them.
        trusted = map(source_of, self.tenant.settings.upstream.trusted_clients)
        also_to = " ".join(dict.fromkeys([also_to, *trusted])).strip()
        shown = page(template, status, also_to, of_others, **values)
        return self.with_cookie(shown, self.secret) if self.is_new else shown

    def with_cookie(self, reply: Reply, secret: str) -> Reply:
        """The reply, which makes the browser keep the secret."""
        name, secure = _cookie(self.tenant)
        kept = f"{name}={secret}; Path=/; Max-Age={LIFETIME // SECOND}; HttpOnly; SameSite=Lax{secure}"
        return replace(reply, headers={**reply.headers, "Set-Cookie": kept})

    def form(self) -> dict[str, str]:
        """What was posted; raises NotToBeRedirected unless it came from a page of ours in this browser."""
        posted = parse_query(self.call.body.decode("utf-8", "surrogateescape"))
        fields = {name: values[0] for name, values in posted.items()}
        check_form(None if self.is_new else self.secret, fields.get("form_token", ""))
        return fields


async def visit(call: AnonymousCall) -> Visit:
    """Who looks; raises Unrecognized where there are no such pages."""
    check_enabled(call.tenant)
    name, _ = _cookie(call.tenant)
    secret = _cookies(call).get(name)
    browser = await browser_of(call.tenant, secret)
    return Visit(call, secret or new_secret(call.tenant), secret is None, browser)


async def sign_in(seen: Visit, user_id: UserID, onward: str) -> Reply:
    """The one way in: whoever has proved to be this user goes on, with a cookie that says so.

    A password, a new account and another provider all end here.
    """
    secret = await remember(seen.tenant, user_id)
    await forget(seen.tenant, seen.secret)
    return seen.with_cookie(see_other(checked_onward(onward)), secret)


def checked_onward(onward: str | None) -> str:
    """A page of ours, relative to the others; the account page for everything else."""
    return onward if onward is not None and _ONWARD.fullmatch(onward) else "account"


def to_sign_in(onward: str, page: str = "login", **more: str) -> Reply:
    """First to the page on which one can sign in, then back."""
    return see_other(f"{page}?{urlencode({'next': onward, **more}, quote_via=quote)}")


def here(call: AnonymousCall, name: str) -> str:
    """The page that is looked at, with its query, as a way to come back."""
    query = call.target.partition("?")[2]
    return f"{name}?{query}" if query else name


def shown(show: Show) -> Show:
    """A person sees what is wrong on a page, not as JSON."""

    @wraps(show)
    async def showing(call: AnonymousCall) -> Reply:
        try:
            return await show(call)
        except NotToBeRedirected as error:
            return page("wrong", 400, server=call.tenant.name, user_id=None, message=str(error))
        except MatrixError as error:
            told: dict[str, Any] = {"server": call.tenant.name, "user_id": None, "message": error.message}
            return page("wrong", error.status, **told)

    return showing


def _cookie(tenant: Tenant) -> tuple[str, str]:
    """Its name and its attributes: `__Host-` keeps subdomains from setting it, and wants TLS."""
    if tenant.settings.public_base_url.startswith("https:"):
        return "__Host-hearth", "; Secure"
    return "hearth", ""


def _cookies(call: AnonymousCall) -> dict[str, str]:
    pairs = (pair.strip().partition("=") for pair in call.headers.get("Cookie", "").split(";"))
    return {name: value for name, _, value in pairs if name}
