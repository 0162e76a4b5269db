"""Settings under which as many operations as possible are there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from services.settings import (
    Contact,
    EmailAtRegistration,
    LegacyDownloads,
    Mail,
    MailTls,
    Media,
    Registration,
    RegistrationMode,
    WellKnown,
)
from services.upstream.settings import CasProvider, Face, Mapping, Upstream


def everything(folder: Path) -> dict[str, Any]:
    """For a homeserver that keeps its media in this folder."""
    return {
        "media": Media(folder / "media", legacy_downloads=LegacyDownloads.OPEN),
        # Mails wait for a mail server that is not there.
        "mail": Mail(host="localhost", port=9, tls=MailTls.NONE, sender="us@one.example"),
        "registration": Registration(RegistrationMode.OPEN, email=EmailAtRegistration.OPTIONAL),
        "upstream": Upstream((CasProvider(Face("x", "X"), "https://cas.example", Mapping("{user}")),)),
        "well_known": WellKnown((Contact("m.role.admin", "@admin:one.example"),), None, "a key"),
    }
