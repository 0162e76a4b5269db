"""A web, and homeservers that show previews of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from services.media.settings import Previews
from services.settings import Federation, Media
from tests.fixtures.certificates import Authority
from tests.fixtures.homeserver import Homeserver, MakeHomeserver
from tests.fixtures.names import FakeNames
from tests.media_repo.web import LOOPBACK, Web


@pytest.fixture
async def site(authority: Authority) -> AsyncIterator[Web]:
    """The web."""
    issued = authority.issue("page.example", "other.example", "xn--tst-qla.example")
    async with Web(FakeNames(), issued.server_context()) as made:
        yield made


@pytest.fixture
async def make(make_homeserver: MakeHomeserver, authority: Authority, site: Web, tmp_path: Path) -> Any:
    """`await make(**previews)`: a homeserver that shows previews of pages on this machine."""

    async def made(clock: Any = None, media: dict[str, Any] | None = None, **previews: Any) -> Homeserver:
        said = {"enabled": True, "allowed_private_networks": LOOPBACK, "timeout": 5_000} | previews
        return await make_homeserver(
            names=site.names,
            clock=clock,
            media=replace(Media(tmp_path / "media"), previews=Previews(**said), **media or {}),
            federation=Federation(enabled=False, ca_file=authority.file),
        )

    return made
