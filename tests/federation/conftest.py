"""What every test of the federation can ask for."""

import pytest

from services.rooms.receive import inbox
from tests.federation.peer import make_peer as make_peer

LONG = 60.0
"""Seconds."""


@pytest.fixture(autouse=True)
def senders_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever sends an event is answered when it is in its place, also on a busy machine: but where a test is about that."""
    monkeypatch.setattr(inbox, "QUICK", LONG)
