"""The forms of the account page."""

from collections.abc import Awaitable, Callable

from client_api import AnonymousCall
from client_api.pages.emails import add_email, confirm_email, delete_email
from client_api.pages.render import see_other
from client_api.pages.visit import MAX_FORM, Visit, here, shown, sign_in, to_sign_in, visit
from protocol.ids import DeviceID
from protocol.matrix_error import InvalidParam, MatrixError
from services.accounts.deactivate import deactivate
from services.accounts.devices import rename_device
from services.accounts.revoke import delete_devices
from services.oauth.account import replace_password
from services.oauth.browsers import Browser, allow_cross_signing_reset, forget
from services.oauth.urls import ROOT
from services.profiles import set_profile_field
from web.endpoint import LOGIN, Auth, endpoint
from web.reply import Reply

Form = dict[str, str]
Change = Callable[[Visit, Browser, Form], Awaitable[Reply]]
DEVICES = "account?action=org.matrix.devices_list"


@endpoint("POST", f"{ROOT}/account", auth=Auth.NONE, limit=LOGIN, max_body=MAX_FORM)
@shown
async def submit_account(call: AnonymousCall) -> Reply:
    """The change is made; what cannot be undone asks to sign in again first, if that was a while ago."""
    seen = await visit(call)
    if seen.browser is None:
        return to_sign_in(here(call, "account"))
    form = seen.form()
    change = form.get("change", "")
    if change in FRESH_ONLY and not seen.browser.is_fresh(call.tenant.clock.now()):
        return to_sign_in(here(call, "account"), again="")
    if change not in CHANGES:
        raise InvalidParam("This form is not known")
    return await CHANGES[change](seen, seen.browser, form)


async def _displayname(seen: Visit, browser: Browser, form: Form) -> Reply:
    await set_profile_field(seen.tenant, browser.requester, "displayname", form.get("displayname", ""))
    return see_other("account")


async def _rename_device(seen: Visit, browser: Browser, form: Form) -> Reply:
    device_id = DeviceID(form.get("device_id", ""))
    await rename_device(seen.tenant, browser.requester, device_id, form.get("name", ""))
    return see_other(DEVICES)


async def _delete_device(seen: Visit, browser: Browser, form: Form) -> Reply:
    await delete_devices(seen.tenant, browser.user_id, [form.get("device_id", "")])
    return see_other(DEVICES)


async def _deactivate(seen: Visit, browser: Browser, form: Form) -> Reply:
    if "sure" not in form:
        raise InvalidParam("You have not said that you are sure")
    await deactivate(seen.tenant, browser.user_id, erase="erase" in form)
    await forget(seen.tenant, seen.secret)
    return seen.page("done", title="Good-bye", message="The account is deactivated.")


async def _reset(seen: Visit, browser: Browser, form: Form) -> Reply:
    await allow_cross_signing_reset(seen.tenant, browser)
    message = "Go back to your application now: for ten minutes it may set up a new identity."
    return seen.page("done", title="Allowed", message=message)


async def _password(seen: Visit, browser: Browser, form: Form) -> Reply:
    try:
        if form.get("new") != form.get("again"):
            raise InvalidParam("The two new passwords are not the same")
        await replace_password(seen.tenant, browser, form.get("old", ""), form.get("new", ""))
    except MatrixError as error:
        shortest = seen.tenant.settings.passwords.minimum_length
        return seen.page("password", error.status, shortest=shortest, message=error.message)
    return await sign_in(seen, browser.user_id, "account")


CHANGES: dict[str, Change] = {
    "displayname": _displayname,
    "rename_device": _rename_device,
    "delete_device": _delete_device,
    "deactivate": _deactivate,
    "reset": _reset,
    "password": _password,
    "add_email": add_email,
    "confirm_email": confirm_email,
    "delete_email": delete_email,
}
FRESH_ONLY = frozenset({"deactivate", "reset", "add_email", "confirm_email", "delete_email"})
