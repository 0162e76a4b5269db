"""A homeserver with one application service."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest

from tests.fixtures.appservice import AS_TOKEN, Appservice, registration_file, running_appservice
from tests.fixtures.client import Client
from tests.fixtures.homeserver import Homeserver, MakeHomeserver


@dataclass
class Bridge:
    """The application service, the homeserver that knows it, and the client of the two that speaks for the first."""

    appservice: Appservice
    homeserver: Homeserver

    def as_user(self, localpart: str, device_id: str | None = None) -> Client:
        """One of its users, by the token of the application service."""
        client = Acting(self.homeserver.session, self.homeserver.url, access_token=AS_TOKEN)
        client.user_id, client.device_id = f"@{localpart}:{self.homeserver.name}", device_id or ""
        return client

    async def ghost(self, localpart: str) -> Client:
        """A new user of its own."""
        body = {"type": "m.login.application_service", "username": localpart, "inhibit_login": True}
        await self.as_user("_irc_bot").ok("POST", "register", json=body)
        return self.as_user(localpart)


class Acting(Client):
    """A client that says in each request whom it acts for."""

    async def request(
        self, method: str, path: str, *, params: dict[str, Any] | None = None, **what: Any
    ) -> tuple[int, Any]:
        """As Client has it."""
        acts = {"user_id": self.user_id} | ({"device_id": self.device_id} if self.device_id else {})
        return await super().request(method, path, params=acts | (params or {}), **what)


class MakeBridge(Protocol):
    """`await make_bridge(settings..., registration={...})`."""

    async def __call__(self, *, registration: dict[str, Any] | None = None, **settings: Any) -> Bridge: ...


@pytest.fixture
async def make_bridge(make_homeserver: MakeHomeserver, tmp_path: Path) -> AsyncIterator[MakeBridge]:
    """A homeserver whose only application service runs."""
    async with running_appservice() as appservice:

        async def make(*, registration: dict[str, Any] | None = None, **settings: Any) -> Bridge:
            file = registration_file(tmp_path, appservice, **(registration or {}))
            return Bridge(appservice, await make_homeserver(appservice_files=(file,), **settings))

        yield make


@pytest.fixture
async def bridge(make_bridge: MakeBridge) -> Bridge:
    """The application service `irc`."""
    return await make_bridge()
