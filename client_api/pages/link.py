"""A user lets a device in that shows a code (RFC 8628 §3.3)."""

from client_api import AnonymousCall
from client_api.pages.visit import MAX_FORM, Visit, here, shown, to_sign_in, visit
from services.oauth.device_grant import answer_device, find_waiting
from services.oauth.urls import ROOT
from web.endpoint import GENERAL, LOGIN, Auth, endpoint
from web.reply import Reply

UNKNOWN = "There is no such code, or its time is over."


@endpoint("GET", f"{ROOT}/link", auth=Auth.NONE, limit=GENERAL)
@shown
async def show_link(call: AnonymousCall) -> Reply:
    """The page that asks for the code, or with a code the question whether the device may come in."""
    seen = await visit(call)
    typed = call.query_text("user_code", "")
    if seen.browser is None:
        return to_sign_in(here(call, "link"))
    if not typed:
        return _form(seen, None)
    waiting = await find_waiting(call.tenant, typed)
    if waiting is None:
        return _form(seen, UNKNOWN)
    user_code = f"{waiting.code.user_code[:4]}-{waiting.code.user_code[4:]}"
    return seen.page(
        "consent",
        onward=here(call, "link"),
        client=waiting.client,
        device_id=waiting.code.device_id,
        user_code=user_code,
    )


@endpoint("POST", f"{ROOT}/link", auth=Auth.NONE, limit=LOGIN, max_body=MAX_FORM)
@shown
async def submit_link(call: AnonymousCall) -> Reply:
    """The device hears the answer when it asks next."""
    seen = await visit(call)
    if seen.browser is None:
        return to_sign_in(here(call, "link"))
    form = seen.form()
    waiting = await find_waiting(call.tenant, form.get("user_code", ""))
    if waiting is None:
        return _form(seen, UNKNOWN)
    allowed = form.get("answer") == "allow"
    await answer_device(call.tenant, waiting, seen.browser.user_id, allowed=allowed)
    message = "The device goes on by itself." if allowed else "The device was not let in."
    return seen.page("done", title="Done", message=message)


def _form(seen: Visit, message: str | None) -> Reply:
    return seen.page("link", 200 if message is None else 404, message=message)
