"""Our users' files, for other servers (§Content Repository of the server-server API, v1.11)."""

from __future__ import annotations

from media_repo.asked_thumbnail import asked_thumbnail
from media_repo.download import find_local, serve_media
from media_repo.multipart import as_multipart
from media_repo.thumbnails import serve_thumbnail
from services.requester import Peer
from services.tenant import Tenant
from web.call import Call
from web.endpoint import MEDIA, Auth, endpoint
from web.reply import Reply

ServerCall = Call[Tenant, Peer]


@endpoint("GET", "/_matrix/federation/v1/media/download/{mediaId}", auth=Auth.SERVER, limit=MEDIA)
async def get_content(call: ServerCall) -> Reply:
    """The file."""
    file = await find_local(call.tenant, call.path["mediaId"])
    return as_multipart(serve_media(call.tenant, file), call.tenant.random)


@endpoint("GET", "/_matrix/federation/v1/media/thumbnail/{mediaId}", auth=Auth.SERVER, limit=MEDIA)
async def get_content_thumbnail(call: ServerCall) -> Reply:
    """A smaller picture of the file."""
    asked = asked_thumbnail(call)
    file = await find_local(call.tenant, call.path["mediaId"])
    return as_multipart(await serve_thumbnail(call.tenant, file, asked), call.tenant.random)
