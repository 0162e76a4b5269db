"""Stages of user-interactive authentication in a browser, for clients that do not know them (§Fallback)."""

from collections.abc import Mapping
from html import escape
from typing import Any
from urllib.parse import quote

from client_api import AnonymousCall
from client_api.browser_page import page
from protocol.ids import UserID
from protocol.matrix_error import InvalidParam, MatrixError, Unrecognized
from services.accounts.uia import UiaSession, find_session, pass_stage, path_of, user_of
from services.accounts.uia_stages import Stage, check_stage
from services.oauth.urls import page as page_url
from services.threepids.sessions import Purpose, TokenRequest, request_token
from web.endpoint import GENERAL, LOGIN, Auth, endpoint
from web.query import parse_query
from web.reply import Reply, redirect

PATH = "/_matrix/client/v3/auth/{auth}/fallback/web"
SECRET_LENGTH = 32

_IN_A_FRAME = "frame-ancestors *"
_WITH_SCRIPT = "script-src 'unsafe-inline'; frame-ancestors *"
# What a captcha loads is the provider's affair, and comes from several hosts.
_WITH_CAPTCHA = (
    "script-src 'unsafe-inline' https:; frame-src https:; connect-src https:; img-src https: data:; "
    "frame-ancestors *"
)

# «call window.onAuthDone(), or post the message "authDone" to the opener»
_DONE = """<p>You can go back to your application now.</p><script>
if (window.onAuthDone) { window.onAuthDone(); }
else if (window.opener && window.opener.postMessage) { window.opener.postMessage("authDone", "*"); }
</script>"""

Form = Mapping[str, str]


@endpoint("GET", PATH, auth=Auth.NONE, limit=GENERAL)
async def show_stage(call: AnonymousCall) -> Reply:
    """The page on which the stage can be passed."""
    stage, session = _stage(call), await _session(call)
    if stage in session.completed:
        return page("Done", _DONE, may=_WITH_SCRIPT)
    if stage is Stage.SSO:  # never in a frame: it is the user's word that counts
        return redirect(f"{page_url(call.tenant, 'upstream_proof')}?session={quote(session.session)}")
    return _shown(call, stage, _content(call, stage, session))


@endpoint("POST", PATH, auth=Auth.NONE, limit=LOGIN)
async def submit_stage(call: AnonymousCall) -> Reply:
    """The stage is passed, or the page says why not; the client goes on by itself."""
    stage, session = _stage(call), await _session(call)
    form = {name: values[0] for name, values in parse_query(call.body.decode("utf-8", "replace")).items()}
    try:
        if stage is Stage.EMAIL and "sid" not in form:
            return _shown(call, stage, await _mailed(call, session, form))
        user_id, said = user_of(session), _said(stage, session, form)
        facts = await check_stage(call.tenant, user_id, stage, said, frozenset(Stage), path_of(session))
    except MatrixError as error:
        why = f"<p><strong>{escape(error.message)}</strong></p>"
        again = _waiting(form) if "sid" in form else _content(call, stage, session)
        return _shown(call, stage, why + again, error.status)
    await pass_stage(call.tenant, session, stage, facts)
    return page("Done", _DONE, may=_WITH_SCRIPT)


def _stage(call: AnonymousCall) -> Stage:
    try:
        return Stage(call.path["auth"])
    except ValueError:
        raise Unrecognized("This stage has no page") from None


async def _session(call: AnonymousCall) -> UiaSession:
    session = await find_session(call.tenant, call.query_text("session"))
    if session is None:
        raise InvalidParam("The session is unknown or has expired")
    return session


def _said(stage: Stage, session: UiaSession, form: Form) -> Mapping[str, Any]:
    """What a client would have said in `auth`."""
    if stage is Stage.EMAIL:
        return {"threepid_creds": {"sid": form["sid"], "client_secret": form.get("client_secret", "")}}
    if stage is Stage.PASSWORD and user_of(session) is None:
        return {**form, "identifier": {"type": "m.id.user", "user": form.get("user", "")}}
    return form


async def _mailed(call: AnonymousCall, session: UiaSession, form: Form) -> str:
    """What waits for the link in the mail that is now on its way."""
    purpose = Purpose.REGISTER if path_of(session).endswith("/register") else Purpose.PASSWORD
    asked = TokenRequest(form.get("email", ""), call.tenant.random.token(SECRET_LENGTH), 1)
    sid = await request_token(call.tenant, purpose, asked)
    return _waiting({"sid": sid, "client_secret": asked.client_secret})


def _waiting(form: Form) -> str:
    hidden = "".join(
        f'<input type="hidden" name="{name}" value="{escape(form.get(name, ""))}">'
        for name in ("sid", "client_secret")
    )
    asked = "A mail was sent to you. Follow the link in it, then go on here."
    return f'<form method="post"><p>{asked}</p>{hidden}<button>Go on</button></form>'


def _content(call: AnonymousCall, stage: Stage, session: UiaSession) -> str:
    match stage:
        case Stage.TERMS:
            return _terms(call)
        case Stage.CAPTCHA:
            return _captcha(call)
        case Stage.PASSWORD:
            return _password(user_of(session))
        case Stage.EMAIL:
            field = '<input name="email" type="email" autocomplete="email" required>'
            return f'<form method="post"><p><label>E-mail address<br>{field}</label></p><button>Go on</button></form>'
        case Stage.REGISTRATION_TOKEN:
            field = '<input name="token" required>'
            return f'<form method="post"><p><label>Registration token<br>{field}</label></p><button>Go on</button></form>'
        case Stage.DUMMY | Stage.SSO:
            return '<form method="post"><button>Go on</button></form>'


def _terms(call: AnonymousCall) -> str:
    terms = call.tenant.settings.registration.terms.items()
    links = "".join(
        f'<li><a href="{escape(url)}" target="_blank">{escape(name)}</a></li>' for name, url in terms
    )
    return f'<form method="post"><p>Please read:</p><ul>{links}</ul><button>Accept</button></form>'


def _captcha(call: AnonymousCall) -> str:
    captcha = call.tenant.settings.registration.captcha
    if captcha is None:
        raise Unrecognized("There is no captcha here")
    script = f'<script src="{escape(captcha.script_url)}" async defer></script>'
    box = f'<div class="{escape(captcha.element_class)}" data-sitekey="{escape(captcha.site_key)}"></div>'
    return f'{script}<form method="post">{box}<p><button>Go on</button></p></form>'


def _password(user_id: UserID | None) -> str:
    whose = f"<p>Password of {escape(user_id)}:</p>" if user_id is not None else ""
    name = '<p><label>User name<br><input name="user" autocomplete="username" required></label></p>'
    field = '<input name="password" type="password" autocomplete="current-password" required>'
    fields = f"{whose or name}<p><label>Password<br>{field}</label></p>"
    return f'<form method="post">{fields}<button>Go on</button></form>'


def _shown(call: AnonymousCall, stage: Stage, content: str, status: int = 200) -> Reply:
    may = _WITH_CAPTCHA if stage is Stage.CAPTCHA else _IN_A_FRAME
    return page(f"One step for {call.tenant.name}", content, status, may=may)
