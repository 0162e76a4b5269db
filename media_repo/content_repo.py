"""Uploading files (§Content repository)."""

from __future__ import annotations

from media_repo import ClientCall
from media_repo.upload import Coming, checked_name, checked_type, create_slot, fill_slot, take_upload
from protocol.matrix_error import NotFound
from web.endpoint import MEDIA, Auth, Body, endpoint
from web.reply import Json

_UNLIMITED = 1 << 62  # the tenant's own limit is kept while the bytes come in


@endpoint(
    "POST",
    "/_matrix/media/v3/upload",
    auth=Auth.USER,
    limit=MEDIA,
    body=Body.STREAM,
    max_body=_UNLIMITED,
    also=("/_matrix/media/r0/upload", "/_matrix/media/v1/upload"),
)
async def upload_content(call: ClientCall) -> Json:
    """The new file's `mxc://` URI."""
    return {"content_uri": await take_upload(call.tenant, call.requester.user_id, _coming(call))}


@endpoint("POST", "/_matrix/media/v1/create", auth=Auth.USER, limit=MEDIA)
async def create_content(call: ClientCall) -> Json:
    """The `mxc://` URI of a file that is uploaded later, and until when it may be (v1.7, MSC2246)."""
    uri, expires = await create_slot(call.tenant, call.requester.user_id)
    return {"content_uri": uri, "unused_expires_at": expires}


@endpoint(
    "PUT",
    "/_matrix/media/v3/upload/{serverName}/{mediaId}",
    auth=Auth.USER,
    limit=MEDIA,
    body=Body.STREAM,
    max_body=_UNLIMITED,
)
async def upload_content_to_mxc(call: ClientCall) -> Json:
    """The file for a URI that was made before."""
    if call.server_name() != call.tenant.name:
        raise NotFound("This media ID was not given out here")
    await fill_slot(call.tenant, call.requester.user_id, call.path["mediaId"], _coming(call))
    return {}


@endpoint("GET", "/_matrix/media/v3/config", auth=Auth.USER, limit=MEDIA, also=("/_matrix/media/r0/config",))
async def get_config(call: ClientCall) -> Json:
    """How large a file may be, in bytes."""
    return {"m.upload.size": call.tenant.settings.media.max_upload}


def _coming(call: ClientCall) -> Coming:
    return Coming(
        call.chunks(),
        checked_type(call.headers.get("Content-Type")),
        checked_name(call.query_text("filename", None)),
        call.request.content_length or 0,
    )
