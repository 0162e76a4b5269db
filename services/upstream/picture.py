"""The picture that a provider has of somebody becomes that of the new user: fetched once, from the web, within bounds."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

from protocol.ids import UserID
from protocol.matrix_error import MatrixError
from services.observations import Level
from services.previews.ports import PageFailed
from services.previews.reading import read_picture
from services.profiles import set_profile_field
from services.requester import Requester
from services.settings import MIB
from services.tenant import Tenant

MAX_BYTES: Final = 4 * MIB
SECONDS: Final = 10.0
"""So long the person waits for it at most, who is just logging in for the first time."""


@dataclass(frozen=True, slots=True)
class PictureNotTaken:
    """Somebody has no picture now; they can choose one themselves."""

    user_id: str
    reason: str
    level: Level = Level.INFO

    def __str__(self) -> str:
        return f"the provider's picture of {self.user_id} was not taken: {self.reason}"


async def take_picture(tenant: Tenant, user_id: UserID, url: str) -> None:
    """The user has the picture, if it is one and can be had. Private networks are asked only where previews may ask them."""
    try:
        async with asyncio.timeout(SECONDS):
            picture = await read_picture(tenant, url, MAX_BYTES)
            uri = await tenant.uploads.take(tenant, user_id, picture.content_type, picture.data)
        await set_profile_field(tenant, Requester(user_id), "avatar_url", uri)
    except TimeoutError:
        tenant.observe(PictureNotTaken(user_id, "it took too long"))
    except (MatrixError, PageFailed) as error:
        tenant.observe(PictureNotTaken(user_id, str(error)))
