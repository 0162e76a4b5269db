"""The port through which a service keeps a file as somebody's upload: the edge that takes files in fulfils it."""

from __future__ import annotations

from typing import Any, Protocol

from protocol.ids import UserID
from protocol.matrix_error import Unknown


class Uploads(Protocol):
    """Takes files in; `tenant` is one, which holds this port itself, so that it cannot be named here."""

    async def take(self, tenant: Any, owner: UserID, content_type: str, data: bytes) -> str:
        """The `mxc://` URI of the file; raises what an upload of the owner raises."""


class NoUploads:
    """Where no files are taken in, as in short commands."""

    async def take(self, tenant: Any, owner: UserID, content_type: str, data: bytes) -> str:
        """Raises Unknown."""
        raise Unknown("no files are kept here")
