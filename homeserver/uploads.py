"""Files that services keep are taken in as uploads are: quotas, checks and quarantine are for them too."""

from __future__ import annotations

from collections.abc import AsyncIterator

from media_repo.upload import Coming, take_upload
from protocol.ids import UserID
from services.tenant import Tenant


class MediaUploads:
    """The media repository."""

    async def take(self, tenant: Tenant, owner: UserID, content_type: str, data: bytes) -> str:
        """The `mxc://` URI of the file; raises what an upload of the owner raises."""
        return await take_upload(tenant, owner, Coming(_once(data), content_type, None, len(data)))


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data
