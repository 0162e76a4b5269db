"""Where mails about missed messages end: a page with a button, and the button of mail programs (RFC 8058)."""

from html import escape

from client_api import AnonymousCall
from client_api.browser_page import page
from protocol.matrix_error import MatrixError
from services.push.unsubscribe import UNSUBSCRIBE_PATH, check_unsubscribe, unsubscribe
from web.endpoint import LOGIN, Auth, endpoint
from web.reply import Reply


@endpoint("GET", UNSUBSCRIBE_PATH, auth=Auth.NONE, limit=LOGIN)
async def show_unsubscribe(call: AnonymousCall) -> Reply:
    """Asks whether no more mails are wanted: programs that look after mail follow links by themselves."""
    user_id, address, token = _link(call)
    try:
        check_unsubscribe(call.tenant, user_id, address, token)
    except MatrixError as error:
        return _broken(error)
    asked = escape(f"Send no more mails about missed messages to {address}?")
    form = f'<form method="post"><p>{asked}</p><button>No more mails</button></form>'
    return page("Missed messages", form)


@endpoint("POST", UNSUBSCRIBE_PATH, auth=Auth.NONE, limit=LOGIN)
async def submit_unsubscribe(call: AnonymousCall) -> Reply:
    """No more mails go there."""
    try:
        await unsubscribe(call.tenant, *_link(call))
    except MatrixError as error:
        return _broken(error)
    return page("Missed messages", "<p>No more mails are sent to you.</p>")


def _link(call: AnonymousCall) -> tuple[str, str, str]:
    return call.query_text("user", ""), call.query_text("address", ""), call.query_text("token", "")


def _broken(error: MatrixError) -> Reply:
    return page("This link does not work", f"<p>{escape(error.message)}.</p>", error.status)
