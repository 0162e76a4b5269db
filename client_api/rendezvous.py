"""Mailboxes for a login by QR code: MSC4108 as clients use it, and MSC4388, which follows it."""

from email.utils import formatdate
from typing import Any

from client_api import AnonymousCall
from protocol.matrix_error import ConcurrentWrite, MissingParam, TooLarge
from services.rendezvous import (
    MAX_CONTENT,
    Changed,
    Mailbox,
    look_into,
    open_mailbox,
    put_into,
    throw_away,
)
from services.settings import SECOND
from services.tenant import Tenant
from web.endpoint import GENERAL, REGISTRATION, Auth, endpoint
from web.reply import Json, Reply

OLD = "/_matrix/client/unstable/org.matrix.msc4108/rendezvous"
NEW = "/_matrix/client/unstable/io.element.msc4388/rendezvous"
TEXT = "text/plain"
MAX_BODY = 16 * 1024


@endpoint("POST", OLD, auth=Auth.NONE, limit=REGISTRATION, max_body=MAX_BODY)
async def create_rendezvous_of_msc4108(call: AnonymousCall) -> Reply:
    """A new mailbox, with what the first device has to say."""
    box = await open_mailbox(call.tenant, call.body, _content_type(call))
    url = f"{call.tenant.settings.public_base_url}{OLD}/{box.id}"
    return Reply(201, {"url": url}, _headers(box))


@endpoint("GET", f"{OLD}/{{rendezvousId}}", auth=Auth.NONE, limit=GENERAL)
async def get_rendezvous_of_msc4108(call: AnonymousCall) -> Reply:
    """What lies in it, unless the asker has seen that."""
    box = await look_into(call.tenant, call.path["rendezvousId"])
    if call.headers.get("If-None-Match") == _etag(box):
        return Reply(304, b"", _headers(box), box.content_type)
    return Reply(200, box.content, _headers(box), box.content_type)


@endpoint("PUT", f"{OLD}/{{rendezvousId}}", auth=Auth.NONE, limit=GENERAL, max_body=MAX_BODY)
async def update_rendezvous_of_msc4108(call: AnonymousCall) -> Reply:
    """Something else lies in it, if the writer has seen what lay there."""
    version = call.headers.get("If-Match")
    if version is None:
        raise MissingParam("The header If-Match is missing")
    of = (call.path["rendezvousId"], call.body, _content_type(call), version.strip('"'))
    try:
        box = await put_into(call.tenant, *of)
    except Changed as changed:
        # «412 ... M_UNKNOWN, with org.matrix.msc4108.errcode M_CONCURRENT_WRITE»
        told = {
            "errcode": "M_UNKNOWN",
            "org.matrix.msc4108.errcode": "M_CONCURRENT_WRITE",
            "error": "Somebody else has written in between",
        }
        return Reply(412, told, _headers(changed.now))
    return Reply(202, b"", _headers(box), TEXT)


@endpoint("DELETE", f"{OLD}/{{rendezvousId}}", auth=Auth.NONE, limit=GENERAL)
async def delete_rendezvous_of_msc4108(call: AnonymousCall) -> Reply:
    """It is gone."""
    await throw_away(call.tenant, call.path["rendezvousId"])
    return Reply(204, b"", {}, TEXT)


@endpoint("GET", NEW, auth=Auth.NONE, limit=GENERAL)
async def can_create_rendezvous(call: AnonymousCall) -> Json:
    """Whether the asker may make a mailbox."""
    return {"create_available": call.tenant.settings.oauth.enabled}


@endpoint("POST", NEW, auth=Auth.NONE, limit=REGISTRATION, max_body=MAX_BODY)
async def create_rendezvous(call: AnonymousCall) -> Json:
    """A new mailbox, with what the first device has to say."""
    box = await open_mailbox(call.tenant, _data(call), TEXT)
    return {"id": box.id, **_told(call.tenant, box)}


@endpoint("GET", f"{NEW}/{{rendezvousId}}", auth=Auth.NONE, limit=GENERAL)
async def get_rendezvous(call: AnonymousCall) -> Reply:
    """What lies in it."""
    box = await look_into(call.tenant, call.path["rendezvousId"])
    said = {"data": box.content.decode("utf-8", "replace"), **_told(call.tenant, box)}
    return Reply(200, said, {"Cache-Control": "no-store"})


@endpoint("PUT", f"{NEW}/{{rendezvousId}}", auth=Auth.NONE, limit=GENERAL, max_body=MAX_BODY)
async def update_rendezvous(call: AnonymousCall) -> Json:
    """Something else lies in it, if the writer has seen what lay there; who says the same again is answered the same."""
    data, version = _data(call), call.text("sequence_token")
    try:
        box = await put_into(call.tenant, call.path["rendezvousId"], data, TEXT, version)
    except Changed as changed:
        if changed.now.content != data:
            raise ConcurrentWrite(errcode="IO_ELEMENT_MSC4388_CONCURRENT_WRITE") from None
        box = changed.now
    return {"sequence_token": box.version}


@endpoint("DELETE", f"{NEW}/{{rendezvousId}}", auth=Auth.NONE, limit=GENERAL)
async def delete_rendezvous(call: AnonymousCall) -> Json:
    """It is gone."""
    await throw_away(call.tenant, call.path["rendezvousId"])
    return {}


def _data(call: AnonymousCall) -> bytes:
    data = call.text("data").encode("utf-8", "surrogatepass")
    if len(data) > MAX_CONTENT:
        raise TooLarge(f"A rendezvous session holds {MAX_CONTENT} bytes")
    return data


def _told(tenant: Tenant, box: Mailbox) -> dict[str, Any]:
    return {"sequence_token": box.version, "expires_in_ms": max(box.expires - tenant.clock.now(), 0)}


def _etag(box: Mailbox) -> str:
    return f'"{box.version}"'


def _headers(box: Mailbox) -> dict[str, str]:
    return {
        "ETag": _etag(box),
        "Expires": formatdate(box.expires / SECOND, usegmt=True),
        "Last-Modified": formatdate(box.modified / SECOND, usegmt=True),
        # «no-transform»: what is sealed is not to be touched on the way.
        "Cache-Control": "no-store, no-transform",
        "Pragma": "no-cache",
        "X-Content-Type-Options": "nosniff",
    }


def _content_type(call: AnonymousCall) -> str:
    """What a browser would run or show is not given back as what it was said to be."""
    said = call.headers.get("Content-Type", TEXT)
    return TEXT if said.partition(";")[0].strip().lower() == TEXT else "application/octet-stream"
