"""The style sheet of the pages."""

from client_api import AnonymousCall
from client_api.pages.render import STYLE
from services.oauth.urls import ROOT
from web.endpoint import Auth, endpoint
from web.reply import Reply

_HEADERS = {"Cache-Control": "public, max-age=3600", "X-Content-Type-Options": "nosniff"}


@endpoint("GET", f"{ROOT}/style.css", auth=Auth.NONE)
async def show_style(call: AnonymousCall) -> Reply:
    """The same for all."""
    return Reply(200, STYLE, _HEADERS, "text/css; charset=utf-8")
