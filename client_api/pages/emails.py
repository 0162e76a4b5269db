"""The account page's e-mail addresses: what there is, another one by a link that is mailed there, one less."""

from collections.abc import Mapping
from urllib.parse import urlencode

from client_api.pages.render import see_other
from client_api.pages.visit import Visit
from protocol.matrix_error import MatrixError
from services.mail.outbox import may_send
from services.oauth.browsers import Browser
from services.settings import MailKind
from services.threepids.addresses import EMAIL
from services.threepids.own import add_shown_threepid, delete_own_threepid, own_threepids
from services.threepids.sessions import Purpose, TokenRequest, request_token
from web.reply import Reply

SECRET_LENGTH = 32
LIST = "account?action=emails"
SHOWN_BY = ("email", "sid", "client_secret")


async def may_have_emails(seen: Visit, browser: Browser) -> bool:
    """Is there anything to see: can addresses be added, or are there some?"""
    return may_send(seen.tenant, MailKind.VERIFICATION) or bool(await _addresses(seen, browser))


async def show_emails(seen: Visit, browser: Browser) -> Reply:
    """All addresses, and a form for another one where mails can be sent."""
    return await _list(seen, browser)


async def show_email_wait(seen: Visit, browser: Browser) -> Reply:
    """Waits until the link is followed. What it is about stands in its address: who must sign in again comes back to it."""
    return _wait(seen, {name: seen.call.query_text(name, "") for name in SHOWN_BY})


async def add_email(seen: Visit, browser: Browser, form: Mapping[str, str]) -> Reply:
    """A link is on its way to the address."""
    email, secret = form.get("email", "").strip(), seen.tenant.random.token(SECRET_LENGTH)
    try:
        sid = await request_token(seen.tenant, Purpose.ADD, TokenRequest(email, secret, 1))
    except MatrixError as error:
        return await _list(seen, browser, error)
    asked = urlencode({"action": "email_wait", "email": email, "sid": sid, "client_secret": secret})
    return see_other(f"account?{asked}")


async def confirm_email(seen: Visit, browser: Browser, form: Mapping[str, str]) -> Reply:
    """The address is the user's, if the link was followed."""
    said = {name: form.get(name, "") for name in SHOWN_BY}
    try:
        await add_shown_threepid(seen.tenant, browser.requester, said["sid"], said["client_secret"])
    except MatrixError as error:
        return _wait(seen, said, error)
    return see_other(LIST)


async def delete_email(seen: Visit, browser: Browser, form: Mapping[str, str]) -> Reply:
    """The address is the user's no more, and withdrawn where it was published."""
    await delete_own_threepid(seen.tenant, browser.requester, EMAIL, form.get("email", ""), None)
    return see_other(LIST)


async def _addresses(seen: Visit, browser: Browser) -> list[str]:
    return [one.address for one in await own_threepids(seen.tenant, browser.requester) if one.medium == EMAIL]


async def _list(seen: Visit, browser: Browser, wrong: MatrixError | None = None) -> Reply:
    return seen.page(
        "emails",
        200 if wrong is None else wrong.status,
        addresses=await _addresses(seen, browser),
        may_add=may_send(seen.tenant, MailKind.VERIFICATION),
        message=None if wrong is None else wrong.message,
    )


def _wait(seen: Visit, said: Mapping[str, str], wrong: MatrixError | None = None) -> Reply:
    status, message = (200, None) if wrong is None else (wrong.status, wrong.message)
    query = urlencode({"action": "email_wait", **said})
    return seen.page("email_wait", status, said=said, query=query, message=message)
