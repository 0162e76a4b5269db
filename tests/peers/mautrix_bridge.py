"""A bridge as mautrix makes them, on a server as a person starts it, with what it hears kept for the test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import yaml
from mautrix.appservice import AppService, IntentAPI
from mautrix.appservice.state_store import FileASStateStore
from mautrix.types import Event, EventType, UserID

from tests.fixtures.client import Client
from tests.fixtures.live import LiveServer, free_port

PASSWORD = "correct horse battery staple"
AS_TOKEN, HS_TOKEN, PUPPET_TOKEN = "bridge-as-token", "bridge-hs-token", "puppet-as-token"


@dataclass
class Bridge:
    """The framework's application service, the server, and all events that came."""

    az: AppService
    server: LiveServer
    session: aiohttp.ClientSession
    port: int
    heard: list[Event] = field(default_factory=list)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    def mxid(self, localpart: str) -> UserID:
        """A user here."""
        return UserID(f"@{localpart}:{self.server.name}")

    def ghost(self, name: str) -> IntentAPI:
        """One of its users."""
        return self.az.intent.user(self.mxid(f"tele_{name}"))

    async def person(self, name: str) -> Client:
        """Somebody with a client of their own."""
        client = Client(self.session, self.server.url)
        body = {"username": name, "password": PASSWORD, "auth": {"type": "m.login.dummy"}}
        said = await client.ok("POST", "register", json=body)
        client.user_id, client.device_id = said["user_id"], said["device_id"]
        client.access_token, client.password = said["access_token"], PASSWORD
        return client

    async def hears(self, seen: Callable[[Event], Any], seconds: float = 60) -> Event:
        """The first event of this kind."""
        async with asyncio.timeout(seconds):
            while (found := next((event for event in self.heard if seen(event)), None)) is None:
                self.arrived.clear()
                await self.arrived.wait()
        return found

    def texts(self, room_id: str) -> list[str]:
        """What was said in the room, in the order in which the bridge heard it."""
        return [
            event.content.body
            for event in self.heard
            if event.type == EventType.ROOM_MESSAGE and event.room_id == room_id
        ]

    async def listen(self) -> None:
        """Its HTTP server begins to listen."""
        await self.az.start("127.0.0.1", self.port)


def write_config(folder: Path, port: int, bridge_port: int) -> Path:
    """The server's configuration with two registrations: the bridge's, and one for double puppets."""
    domain = f"localhost:{port}"
    bridge = {
        "id": "tele",
        "url": f"http://127.0.0.1:{bridge_port}",
        "as_token": AS_TOKEN,
        "hs_token": HS_TOKEN,
        "sender_localpart": "telebot",
        "rate_limited": False,
        "receive_ephemeral": True,
        "de.sorunome.msc2409.push_ephemeral": True,
        "org.matrix.msc3202": True,
        "io.element.msc4190": True,
        "namespaces": {
            "users": [{"regex": f"^@tele_.*:{domain}$", "exclusive": True}],
            "aliases": [{"regex": f"^#tele_.*:{domain}$", "exclusive": True}],
        },
    }
    puppets = {
        "id": "doublepuppet",
        "url": None,
        "as_token": PUPPET_TOKEN,
        "hs_token": "nobody-uses-this",
        "sender_localpart": "doublepuppet",
        "rate_limited": False,
        "namespaces": {"users": [{"regex": f"^@.*:{domain}$", "exclusive": False}]},
    }
    for said in (bridge, puppets):
        (folder / f"{said['id']}.yaml").write_text(yaml.safe_dump(said))
    config = folder / "config.yaml"
    said = {
        "server_name": domain,
        "data_folder": str(folder / "data"),
        "listeners": [{"port": port}],
        "registration": {"mode": "open"},
        "appservices": [str(folder / "tele.yaml"), str(folder / "doublepuppet.yaml")],
    }
    config.write_text(yaml.safe_dump(said))
    return config


@asynccontextmanager
async def running_bridge(folder: Path) -> AsyncIterator[Bridge]:
    """The server runs, and the bridge listens."""
    port, bridge_port = free_port(), free_port()
    server = LiveServer(folder, port=port, config=write_config(folder, port, bridge_port))
    await server.start()
    az = AppService(
        server=server.url,
        domain=server.name,
        as_token=AS_TOKEN,
        hs_token=HS_TOKEN,
        bot_localpart="telebot",
        id="tele",
        state_store=FileASStateStore(path=folder / "mx-state.json", binary=False),
        ephemeral_events=True,
        encryption_events=True,
        bridge_name="tele",
    )
    az.synchronous_handlers = True
    async with aiohttp.ClientSession() as session:
        bridge = Bridge(az, server, session, bridge_port)

        async def note(event: Event) -> None:
            bridge.heard.append(event)
            bridge.arrived.set()

        async def ignore(event: Any) -> None:
            """Mail, until somebody has keys."""

        az.matrix_event_handler(note)
        az.to_device_handler = ignore
        await bridge.listen()
        try:
            yield bridge
        finally:
            await az.stop()
            await server.stop()
