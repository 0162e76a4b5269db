"""mautrix as an encrypted bridge: keys, device lists and messages to devices come with transactions, nothing by /sync."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

if sys.version_info >= (3, 13):  # for which python-olm has no wheel
    pytest.importorskip("olm")
from mautrix.client import Client as MautrixClient
from mautrix.client.state_store import MemoryStateStore
from mautrix.crypto import OlmMachine
from mautrix.crypto.store import MemoryCryptoStore
from mautrix.types import EventType, RoomCreatePreset, RoomID, TrustState

from tests.fixtures.client import Client
from tests.peers.mautrix_bridge import AS_TOKEN, Bridge, running_bridge

ENCRYPTION = {"type": "m.room.encryption", "content": {"algorithm": "m.megolm.v1.aes-sha2"}}


class Rooms:
    """What the machine asks of rooms: here every room is encrypted that is known to be."""

    def __init__(self, known: Any) -> None:
        self.is_encrypted = known.is_encrypted
        self.get_encryption_info = known.get_encryption_info
        self._known = known

    async def find_shared_rooms(self, user_id: str) -> list[RoomID]:
        """Rooms with the user."""
        return [room_id for room_id, members in self._known.members.items() if user_id in members]


@pytest.fixture
async def bridge(tmp_path: Path) -> AsyncIterator[Bridge]:
    async with running_bridge(tmp_path) as running:
        yield running


async def bot_with_keys(bridge: Bridge) -> MautrixClient:
    """The bot at a device of its own, which was made without a login; the framework hands it what transactions bring."""
    store = MemoryCryptoStore("", "pickle")
    client = MautrixClient(
        mxid=bridge.az.bot_mxid,
        base_url=bridge.server.url,
        token=AS_TOKEN,
        client_session=bridge.session,
        state_store=bridge.az.state_store,
        sync_store=store,
    )
    machine = OlmMachine(client, store, Rooms(bridge.az.state_store))
    machine.share_keys_min_trust = machine.send_keys_min_trust = TrustState.UNVERIFIED
    client.crypto = machine
    bridge.az.otk_handler = machine.handle_as_otk_counts
    bridge.az.device_list_handler = machine.handle_as_device_lists
    bridge.az.to_device_handler = machine.handle_as_to_device_event
    await bridge.az.intent.whoami()
    await client.create_device_msc4190(device_id="BRIDGE", initial_display_name="bridge")
    await machine.load()
    await machine.share_keys()
    return client


@asynccontextmanager
async def person_with_keys(bridge: Bridge, person: Client) -> AsyncIterator[MautrixClient]:
    """The person at a client that encrypts, and syncs as long as this lasts."""
    store, rooms = MemoryCryptoStore("", "pickle"), MemoryStateStore()
    client = MautrixClient(
        mxid=person.user_id,
        device_id=person.device_id,
        base_url=bridge.server.url,
        token=person.access_token,
        client_session=bridge.session,
        state_store=rooms,
        sync_store=store,
    )
    machine = OlmMachine(client, store, Rooms(rooms))
    machine.share_keys_min_trust = machine.send_keys_min_trust = TrustState.UNVERIFIED
    client.crypto = machine
    await machine.load()
    await machine.share_keys()
    syncing = client.start(None)
    try:
        yield client
    finally:
        client.stop()
        syncing.cancel()
        await asyncio.wait([syncing])


async def test_an_encrypted_bridge_reads_and_writes(bridge: Bridge) -> None:
    alice = await bridge.person("alice")
    bot = await bot_with_keys(bridge)
    room = await bridge.az.intent.create_room(
        preset=RoomCreatePreset.PRIVATE, invitees=[alice.user_id], initial_state=[ENCRYPTION]
    )
    await bridge.hears(lambda event: event.type == EventType.ROOM_ENCRYPTION and event.room_id == room)
    async with person_with_keys(bridge, alice) as client:
        read: asyncio.Queue[str] = asyncio.Queue()

        async def note(event: Any) -> None:
            if event.sender != alice.user_id:
                read.put_nowait(event.content.body)

        client.add_event_handler(EventType.ROOM_MESSAGE, note)
        await client.join_room_by_id(room)
        await bridge.hears(
            lambda event: (
                event.type == EventType.ROOM_MEMBER
                and event.state_key == alice.user_id
                and event.content.membership.value == "join"
            )
        )
        # Alice to the bridge: the key comes as a message to the bot's device, never later than what it opens.
        for words in ("the first secret", "the second secret"):
            sent = await client.send_text(room, words)
            event = await bridge.hears(lambda event, sent=sent: getattr(event, "event_id", None) == sent)
            assert event.type == EventType.ROOM_ENCRYPTED
            assert (await bot.crypto.decrypt_megolm_event(event)).content.body == words
        # The bridge to alice: her keys were asked for, and one of them claimed.
        await bot.send_text(room, "an answer")
        assert await asyncio.wait_for(read.get(), 60) == "an answer"
        # A second device of hers is news to the bridge, which comes with a transaction: the next message is for it too.
        changed: asyncio.Event = asyncio.Event()
        handle = bridge.az.device_list_handler

        async def watch(lists: Any) -> None:
            if alice.user_id in lists.changed:
                await bot.crypto.handle_device_lists(lists)
                changed.set()

        assert handle is not None
        bridge.az.device_list_handler = watch
        async with person_with_keys(bridge, await alice.log_in()) as second:
            await asyncio.wait_for(changed.wait(), 60)
            second.add_event_handler(EventType.ROOM_MESSAGE, note)
            await bot.send_text(room, "to both of you")
            assert {await asyncio.wait_for(read.get(), 60) for _ in range(2)} == {"to both of you"}
