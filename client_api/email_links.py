"""Where a link in a mail leads: a page with a button, since programs that look after mail follow links by themselves."""

from html import escape
from urllib.parse import urlsplit

from client_api import AnonymousCall
from client_api.browser_page import page
from protocol.matrix_error import MatrixError
from services.threepids.sessions import SUBMIT_PATH, Purpose, ThreepidSession, confirm, link_session
from web.endpoint import LOGIN, Auth, endpoint
from web.reply import Reply, redirect

_QUESTIONS = {
    Purpose.REGISTER: ("Confirm your address", "Make an account with the address {}?", "This is my address"),
    Purpose.ADD: (
        "Confirm your address",
        "Is {} to belong to your account, as you have asked for in your application?",
        "This is my address",
    ),
    Purpose.PASSWORD: (
        "A new password",
        "Set a new password for the account of {}, as you have asked for in your application?",
        "I want a new password",
    ),
}


@endpoint("GET", SUBMIT_PATH, auth=Auth.NONE, limit=LOGIN)
async def show_email_link(call: AnonymousCall) -> Reply:
    """Asks whether that is what the reader of the mail wants."""
    try:
        session = await _session(call)
    except MatrixError as error:
        return page("This link does not work", f"<p>{escape(error.message)}.</p>", error.status)
    title, question, button = _QUESTIONS[Purpose(session.purpose)]
    asked = escape(question.format(session.address))
    # A browser holds the page on to which a form leads to its policy too.
    trusted = _trusted_origin(call, session)
    forms = "'self'" if trusted is None else f"'self' {trusted}"
    form = f'<form method="post"><p>{asked}</p><button>{escape(button)}</button></form>'
    return page(title, form, forms=forms)


@endpoint("POST", SUBMIT_PATH, auth=Auth.NONE, limit=LOGIN)
async def submit_email_link(call: AnonymousCall) -> Reply:
    """The address is shown to be the reader's, who is sent on or told to go back."""
    try:
        session = await _session(call)
    except MatrixError as error:
        return page("This link does not work", f"<p>{escape(error.message)}.</p>", error.status)
    await confirm(call.tenant, session)
    link = session.next_link
    if link is None:
        return page("Thank you", "<p>You can go back to your application now.</p>")
    if _trusted_origin(call, session) is not None:
        return redirect(link)
    host = escape(urlsplit(link).netloc)
    there = f'<p>You can go back to your application now, or on to <a href="{escape(link)}">{host}</a>.</p>'
    return page("Thank you", there)


async def _session(call: AnonymousCall) -> ThreepidSession:
    return await link_session(call.tenant, call.query_text("sid", ""), call.query_text("token", ""))


def _trusted_origin(call: AnonymousCall, session: ThreepidSession) -> str | None:
    """Where people may be sent on to without being asked; None where the client named no such place."""
    if session.next_link is None:
        return None
    parts = urlsplit(session.next_link)
    if parts.hostname not in call.tenant.settings.threepids.next_link_hosts:
        return None
    return f"{parts.scheme}://{parts.hostname}" + ("" if parts.port is None else f":{parts.port}")
