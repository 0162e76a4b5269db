"""Where a client that was told only a server name finds the server (§Server Discovery)."""

from client_api import AnonymousCall
from protocol.matrix_error import NotFound
from services.settings import Contact
from web.endpoint import Auth, endpoint
from web.reply import Json


@endpoint("GET", "/.well-known/matrix/client", auth=Auth.NONE)
async def get_wellknown(call: AnonymousCall) -> Json:
    """The public base URL; raises NotFound where none is configured, upon which clients ask the user."""
    base_url = call.tenant.settings.public_base_url
    if not base_url:
        raise NotFound("No public base URL is configured")
    transports = call.tenant.settings.voip.rtc_transports
    # COMPAT Element Call: where it looked before there was an endpoint for them (MSC4143).
    foci = {"org.matrix.msc4143.rtc_foci": transports} if transports else {}
    return {"m.homeserver": {"base_url": base_url}, **foci}


@endpoint("GET", "/.well-known/matrix/support", auth=Auth.NONE)
async def get_wellknown_support(call: AnonymousCall) -> Json:
    """Whom to turn to; raises NotFound where nobody is named."""
    told = call.tenant.settings.well_known
    contacts = {"contacts": [_contact(one) for one in told.contacts]} if told.contacts else {}
    support_page = {} if told.support_page is None else {"support_page": told.support_page}
    if not contacts and not support_page:
        raise NotFound("Nobody is named who helps with this server")
    return {**contacts, **support_page}


def _contact(contact: Contact) -> dict[str, str]:
    ways = {"matrix_id": contact.matrix_id, "email_address": contact.email_address}
    return {"role": contact.role, **{way: address for way, address in ways.items() if address is not None}}


@endpoint("GET", "/.well-known/matrix/policy_server", auth=Auth.NONE)
async def get_wellknown_policy(call: AnonymousCall) -> Json:
    """The key of the policy server that has this server's name; raises NotFound where there is none."""
    key = call.tenant.settings.well_known.policy_server_key
    if key is None:
        raise NotFound("There is no policy server of this name")
    return {"public_keys": {"ed25519": key}}
