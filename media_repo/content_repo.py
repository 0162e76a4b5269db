"""Uploading files (§Content repository)."""

from __future__ import annotations

from media_repo import ClientCall
from media_repo.upload import checked_name, checked_type, take_upload
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
    content_type = checked_type(call.headers.get("Content-Type"))
    file_name = checked_name(call.query_text("filename", None))
    owner = call.requester.user_id
    return {"content_uri": await take_upload(call.tenant, owner, call.chunks(), content_type, file_name)}


@endpoint("GET", "/_matrix/media/v3/config", auth=Auth.USER, limit=MEDIA, also=("/_matrix/media/r0/config",))
async def get_config(call: ClientCall) -> Json:
    """How large a file may be, in bytes."""
    return {"m.upload.size": call.tenant.settings.media.max_upload}
