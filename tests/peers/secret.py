"""Somebody at a device with encryption (matrix-nio with python-olm), for whom a web client writes, and who answers it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import nio

from tests.fixtures.live import LiveServer
from tests.peers.chromium import LONG
from tests.peers.peer import PASSWORD

ENCRYPTION = {
    "type": "m.room.encryption",
    "state_key": "",
    "content": {"algorithm": "m.megolm.v1.aes-sha2"},
}
_TRUSTING = {"ignore_unverified_devices": True}


class Secret:
    """The device; `read` has what it could decrypt, and `failed` what it cannot (yet: a key may come after its message)."""

    def __init__(self, client: nio.AsyncClient) -> None:
        self.client = client
        self.read: list[str] = []
        self.failed: list[nio.MegolmEvent] = []

    @property
    def user_id(self) -> str:
        """Whose device."""
        return str(self.client.user_id)

    async def sync(self, timeout: int = 0) -> None:
        """One /sync, and what encryption wants done after it."""
        synced = await self.client.sync(timeout=timeout)
        assert isinstance(synced, nio.SyncResponse), synced
        if self.client.should_upload_keys:
            assert isinstance(await self.client.keys_upload(), nio.KeysUploadResponse)
        if self.client.should_query_keys:
            assert isinstance(await self.client.keys_query(), nio.KeysQueryResponse)
        for message in [*self.client.outgoing_to_device_messages]:
            assert isinstance(await self.client.to_device(message), nio.ToDeviceResponse)
        for room_id, room in synced.rooms.join.items():
            for event in room.timeline.events:
                if isinstance(event, nio.MegolmEvent):
                    event.room_id = room_id
                    self.failed.append(event)
                elif getattr(event, "decrypted", False) and hasattr(event, "body"):
                    self.read.append(event.body)
        self._try_again()

    def _try_again(self) -> None:
        for event in [*self.failed]:
            try:
                found = self.client.decrypt_event(event)
            except nio.EncryptionError:
                continue
            self.failed.remove(event)
            self.read.append(getattr(found, "body", ""))

    async def until(self, seen: Callable[[], bool]) -> None:
        """Syncs until it is so; TimeoutError."""
        async with asyncio.timeout(LONG):
            while not seen():
                await self.sync(1000)

    async def reads(self, body: str) -> None:
        """Returns when it has decrypted the message."""
        try:
            await self.until(lambda: body in self.read)
        except TimeoutError:
            raise AssertionError(f"{body!r} was not read; read: {self.read}, not: {self.failed}") from None

    async def creates(self, name: str, guest: str) -> str:
        """A new encrypted room to which the guest is invited; its ID."""
        created = await self.client.room_create(name=name, invite=[guest], initial_state=[ENCRYPTION])
        assert isinstance(created, nio.RoomCreateResponse), created
        room_id = str(created.room_id)
        await self.until(lambda: room_id in self.client.rooms)
        return room_id

    async def knows(self, room_id: str, guest: str) -> None:
        """Returns when the guest is in the room and one of their devices is known."""
        await self.until(lambda: guest in self.client.rooms[room_id].users)
        members = await self.client.joined_members(room_id)
        assert isinstance(members, nio.JoinedMembersResponse), members
        await self.until(lambda: any(self.client.device_store.active_user_devices(guest)))

    async def says(self, room_id: str, body: str) -> None:
        """Sends a message, encrypted for all devices that it knows."""
        content = {"msgtype": "m.text", "body": body}
        sent = await self.client.room_send(room_id, "m.room.message", content, **_TRUSTING)
        assert isinstance(sent, nio.RoomSendResponse), sent


@asynccontextmanager
async def secret(server: LiveServer, name: str, folder: Path) -> AsyncIterator[Secret]:
    """A new user at such a device."""
    store = folder / name
    store.mkdir()
    config = nio.AsyncClientConfig(
        encryption_enabled=True, store_sync_tokens=False, max_timeouts=3, max_limit_exceeded=9
    )
    client = nio.AsyncClient(server.url, name, store_path=str(store), config=config)
    try:
        registered = await client.register(name, PASSWORD)
        assert isinstance(registered, nio.RegisterResponse), registered
        client.load_store()
        device = Secret(client)
        await device.sync()
        yield device
    finally:
        await client.close()
