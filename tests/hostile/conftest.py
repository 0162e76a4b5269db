"""The homeserver that is attacked: as everywhere, with one application service, which answers pings."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.fixtures.appservice import registration_file, running_appservice
from tests.fixtures.homeserver import Homeserver, MakeHomeserver
from tests.hostile.everything import everything


@pytest.fixture
async def homeserver(make_homeserver: MakeHomeserver, tmp_path: Path) -> AsyncIterator[Homeserver]:
    """one.example."""
    async with running_appservice() as appservice:
        files = (registration_file(tmp_path, appservice),)
        yield await make_homeserver(appservice_files=files, **everything(tmp_path))
