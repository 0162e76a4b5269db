"""The account page (§OAuth 2.0 account management, MSC4191): what a user sees of the account, opened for an action."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from client_api import AnonymousCall
from client_api.pages.emails import may_have_emails, show_email_wait, show_emails
from client_api.pages.visit import Visit, here, shown, to_sign_in, visit
from protocol.matrix_error import NotFound
from services.oauth.account import has_password, session_of, sessions_of
from services.oauth.browsers import Browser
from services.oauth.urls import ROOT
from services.profiles import get_profile
from services.settings import SECOND
from web.endpoint import GENERAL, Auth, endpoint
from web.reply import Reply

Show = Callable[[Visit, Browser], Awaitable[Reply]]


@endpoint("GET", f"{ROOT}/account", auth=Auth.NONE, limit=GENERAL)
@shown
async def show_account(call: AnonymousCall) -> Reply:
    """The page for the action; what cannot be undone asks to sign in again, if that was a while ago."""
    seen, action = await visit(call), call.query_text("action", "").removeprefix("org.matrix.")
    if seen.browser is None:
        return to_sign_in(here(call, "account"))
    if action in FRESH_ONLY and not seen.browser.is_fresh(call.tenant.clock.now()):
        return to_sign_in(here(call, "account"), again="")
    return await PAGES.get(action, _overview)(seen, seen.browser)


async def _overview(seen: Visit, browser: Browser) -> Reply:
    return seen.page(
        "account",
        displayname=await _displayname(seen, browser),
        has_password=await has_password(seen.tenant, browser),
        has_emails=await may_have_emails(seen, browser),
    )


async def _devices(seen: Visit, browser: Browser) -> Reply:
    sessions = await sessions_of(seen.tenant, browser)
    return seen.page("devices", sessions=sessions, day_of=day_of)


async def _device(seen: Visit, browser: Browser) -> Reply:
    session = await session_of(seen.tenant, browser, seen.call.query_text("device_id", ""))
    return seen.page("device", session=session, day_of=day_of)


async def _device_delete(seen: Visit, browser: Browser) -> Reply:
    session = await session_of(seen.tenant, browser, seen.call.query_text("device_id", ""))
    return seen.page("device_delete", session=session, day_of=day_of)


async def _deactivate(seen: Visit, browser: Browser) -> Reply:
    return seen.page("deactivate")


async def _reset(seen: Visit, browser: Browser) -> Reply:
    return seen.page("reset")


async def _password(seen: Visit, browser: Browser) -> Reply:
    return seen.page("password", shortest=seen.tenant.settings.passwords.minimum_length, message=None)


async def _displayname(seen: Visit, browser: Browser) -> str:
    try:
        profile = await get_profile(seen.tenant, browser.user_id)
    except NotFound:
        return ""
    name = profile.get("displayname", "")
    return name if isinstance(name, str) else ""


def day_of(milliseconds: int | None) -> str:
    """When a device was last seen, as far as people want to know."""
    if not milliseconds:
        return "never"
    return datetime.fromtimestamp(milliseconds / SECOND, UTC).strftime("%-d %B %Y, %H:%M UTC")


PAGES: dict[str, Show] = {
    "profile": _overview,
    "devices_list": _devices,
    "device_view": _device,
    "device_delete": _device_delete,
    # The names before v1.18.
    "sessions_list": _devices,
    "session_view": _device,
    "session_end": _device_delete,
    "account_deactivate": _deactivate,
    "cross_signing_reset": _reset,
    "password": _password,
    "emails": show_emails,
    "email_wait": show_email_wait,
}
# Whoever reads the mail of an address can set another password.
FRESH_ONLY = frozenset({"account_deactivate", "cross_signing_reset", "emails", "email_wait"})
