"""The homeserver that is attacked: as everywhere, with one application service, which answers pings."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.settings import (
    Contact,
    EmailAtRegistration,
    Mail,
    MailTls,
    Registration,
    RegistrationMode,
    WellKnown,
)
from tests.fixtures.appservice import registration_file, running_appservice
from tests.fixtures.homeserver import Homeserver, MakeHomeserver


@pytest.fixture
async def homeserver(make_homeserver: MakeHomeserver, tmp_path: Path) -> AsyncIterator[Homeserver]:
    """one.example."""
    async with running_appservice() as appservice:
        yield await make_homeserver(
            appservice_files=(registration_file(tmp_path, appservice),),
            # Mails wait for a mail server that is not there.
            mail=Mail(host="localhost", port=9, tls=MailTls.NONE, sender="us@one.example"),
            registration=Registration(RegistrationMode.OPEN, email=EmailAtRegistration.OPTIONAL),
            well_known=WellKnown((Contact("m.role.admin", "@admin:one.example"),), None, "a key"),
        )
