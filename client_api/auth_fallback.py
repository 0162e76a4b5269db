"""Stages of user-interactive authentication in a browser, for clients that do not know them (§Fallback)."""

from html import escape

from client_api import AnonymousCall
from protocol.matrix_error import InvalidParam, MatrixError, Unrecognized
from services.accounts.uia import UiaSession, find_session, pass_stage
from services.accounts.uia_stages import Stage, check_stage
from web.endpoint import GENERAL, LOGIN, Auth, endpoint
from web.query import parse_query
from web.reply import Reply

PATH = "/_matrix/client/v3/auth/{auth}/fallback/web"
IN_BROWSER = frozenset({Stage.REGISTRATION_TOKEN, Stage.TERMS})

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; frame-ancestors *",
    "Cache-Control": "no-store",
}
_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>
<style>body{{font-family:sans-serif;max-width:30em;margin:3em auto;padding:0 1em}}</style></head>
<body><h1>{title}</h1>{content}</body></html>"""

# «call window.onAuthDone(), or post the message "authDone" to the opener»
_DONE = """<p>You can go back to your application now.</p><script>
if (window.onAuthDone) { window.onAuthDone(); }
else if (window.opener && window.opener.postMessage) { window.opener.postMessage("authDone", "*"); }
</script>"""


@endpoint("GET", PATH, auth=Auth.NONE, limit=GENERAL)
async def show_stage(call: AnonymousCall) -> Reply:
    """The page on which the stage can be passed."""
    stage = _stage(call)
    await _session(call)
    return _page("Register", _form(call, stage))


@endpoint("POST", PATH, auth=Auth.NONE, limit=LOGIN)
async def submit_stage(call: AnonymousCall) -> Reply:
    """The stage is passed, or the page says why not; the client goes on by itself."""
    stage = _stage(call)
    session = await _session(call)
    form = {name: values[0] for name, values in parse_query(call.body.decode("utf-8", "replace")).items()}
    try:
        facts = await check_stage(call.tenant, None, stage, form, IN_BROWSER)
    except MatrixError as error:
        return _page("Register", f"<p>{escape(error.message)}</p>{_form(call, stage)}", error.status)
    await pass_stage(call.tenant, session, stage, facts)
    return _page("Done", _DONE)


def _stage(call: AnonymousCall) -> Stage:
    stage = call.path["auth"]
    if stage not in IN_BROWSER:
        raise Unrecognized("This stage has no page")
    return Stage(stage)


async def _session(call: AnonymousCall) -> UiaSession:
    session = await find_session(call.tenant, call.query_text("session"))
    if session is None:
        raise InvalidParam("The session is unknown or has expired")
    return session


def _form(call: AnonymousCall, stage: Stage) -> str:
    if stage is Stage.TERMS:
        terms = call.tenant.settings.registration.terms.items()
        links = "".join(f'<li><a href="{escape(url)}">{escape(name)}</a></li>' for name, url in terms)
        return f'<form method="post"><p>Please read:</p><ul>{links}</ul><button>Accept</button></form>'
    field = '<input name="token" aria-label="Registration token" required>'
    return f'<form method="post"><p>Registration token: {field}</p><button>Go on</button></form>'


def _page(title: str, content: str, status: int = 200) -> Reply:
    body = _PAGE.format(title=title, content=content).encode()
    return Reply(status, body, _HEADERS, "text/html; charset=utf-8")
