"""Cross-signing, verification by emoji, backup and recovery."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from tests.peers.rust_sdk.person import Person, View, checked, logged_in
from tests.peers.rust_sdk.sdk import ffi


class Verification:
    """The course of a verification at one device: the SDK's delegate."""

    def __init__(self, person: Person) -> None:
        self._beat = person.pulse.beat
        self.request: Any = None
        self.said: list[str] = []
        self.emojis: list[str] = []

    def did_receive_verification_request(self, details: Any) -> None:
        """Another device asks."""
        self.request = details
        self._beat()

    def did_receive_verification_data(self, data: Any) -> None:
        """What both have to compare."""
        self.emojis = [emoji.symbol() for emoji in data.emojis]
        self._beat()

    def did_accept_verification_request(self) -> None:
        """The other device is willing."""
        self._say("accepted")

    def did_start_sas_verification(self) -> None:
        """The comparing begins."""
        self._say("started")

    def did_fail(self) -> None:
        """It went wrong."""
        self._say("failed")

    def did_cancel(self) -> None:
        """Somebody broke it off."""
        self._say("cancelled")

    def did_finish(self) -> None:
        """Both are verified."""
        self._say("finished")

    def _say(self, what: str) -> None:
        self.said.append(what)
        self._beat()


async def compare(asking: Person, asked: Person, ask: Any) -> None:
    """A whole verification by emoji; `ask` begins it with the asking device's controller."""
    ours = await asking.client.get_session_verification_controller()
    theirs = await asked.client.get_session_verification_controller()
    at_ours, at_theirs = Verification(asking), Verification(asked)
    ours.set_delegate(at_ours)
    theirs.set_delegate(at_theirs)
    request = None
    while (
        request is None
    ):  # a device of which the other has only just heard may be asked too early: the SDK drops that
        await ask(ours)
        with suppress(AssertionError):
            request = await asked.pulse.awaited("a request", lambda: at_theirs.request, seconds=5)
        if request is None:
            await ours.cancel_verification()
    checked(f"{asked.name} is asked to verify")
    checked("by the right user", request.sender_profile.user_id == asking.user_id)
    await theirs.acknowledge_verification_request(request.sender_profile.user_id, request.flow_id)
    await theirs.accept_verification_request()
    await asking.pulse.until("the request was accepted", lambda: "accepted" in at_ours.said)
    await ours.start_sas_verification()
    emojis = await asking.pulse.until("there are emojis to compare", lambda: at_ours.emojis)
    await asked.pulse.until("they are the same at the other device", lambda: at_theirs.emojis == emojis)
    await ours.approve_verification()
    await theirs.approve_verification()
    await asking.pulse.until("the asking device is done", lambda: "finished" in at_ours.said)


async def be_verified(person: Person) -> None:
    """The first device made the user's cross-signing keys and signed itself."""
    encryption = person.client.encryption()
    verified = lambda: encryption.verification_state() == ffi.VerificationState.VERIFIED
    await person.pulse.until(f"{person.name} is cross-signed", verified)


async def _stir(*views: View) -> None:
    """New room keys, to and fro: what a verification in a room has to say is sent by the SDK only between two polls of
    its encryption sync, and to-device messages end such a poll (or 30 seconds do)."""
    for number in count():
        for view in views:
            await (await view.person.room(view.room_id)).discard_room_key()
            await view.timeline.send(ffi.message_event_content_from_markdown(f"stir {number}"))
        await asyncio.sleep(0.5)


async def verify_each_other(alice: Person, bob: Person, room_id: str) -> None:
    """Two users compare emojis in their direct chat."""
    stirring = asyncio.create_task(_stir(await alice.view(room_id), await bob.view(room_id)))
    try:
        await compare(alice, bob, lambda controller: controller.request_user_verification(bob.user_id))
        for one, other in ((alice, bob), (bob, alice)):
            await one.pulse.until(f"{one.name} trusts {other.name}", partial(_trusts, one, other))
    finally:
        stirring.cancel()


async def _trusts(one: Person, other: Person) -> bool:
    identity = await one.client.encryption().user_identity(other.user_id, True)
    return identity is not None and bool(identity.is_verified())


class Progress:
    """The SDK tells how recovery is being set up."""

    def on_update(self, status: Any) -> None:
        """The listener; nothing depends on it."""


async def enable_recovery(person: Person) -> str:
    """Secret storage and the key backup; the recovery key."""
    encryption = person.client.encryption()
    key = await encryption.enable_recovery(True, None, Progress())
    enabled = lambda: encryption.recovery_state() == ffi.RecoveryState.ENABLED
    await person.pulse.until("recovery is enabled", enabled)
    checked("the backup is on", encryption.backup_state() == ffi.BackupState.ENABLED)
    checked("and on the server", await encryption.backup_exists_on_server())
    await encryption.wait_for_backup_upload_steady_state(None)
    checked("all keys are backed up")
    return str(key)


async def verify_second_device(base_url: str, first: Person, room_id: str, folder: Path) -> Person:
    """A second device, verified by emoji from the first, gets the backup's key by gossip and reads old messages."""
    second = await logged_in(base_url, first.name, folder, "SECOND")
    await second.start()
    encryption = second.client.encryption()
    checked(
        "the second device is not verified", encryption.verification_state() != ffi.VerificationState.VERIFIED
    )
    checked("it could be by another", await encryption.has_devices_to_verify_against())
    checked("it is not the only device", not await encryption.is_last_device())
    await compare(second, first, lambda controller: controller.request_device_verification())
    await be_verified(second)
    backup = lambda: encryption.backup_state() == ffi.BackupState.ENABLED
    await second.pulse.until("the backup's key came by gossip", backup)
    await _reads_back(second, room_id)
    return second


async def recover_third_device(base_url: str, name: str, key: str, room_id: str, folder: Path) -> Person:
    """A third device that has only the recovery key."""
    third = await logged_in(base_url, name, folder, "THIRD")
    await third.start()
    await third.client.encryption().recover(key)
    await be_verified(third)
    enabled = lambda: third.client.encryption().recovery_state() == ffi.RecoveryState.ENABLED
    await third.pulse.until("the third device is recovered", enabled)
    await _reads_back(third, room_id)
    return third


async def _reads_back(person: Person, room_id: str) -> None:
    view = await person.view(room_id)
    while not await view.timeline.paginate_backwards(50):
        pass
    await view.hears("hello")
    await view.hears("unread 2")
