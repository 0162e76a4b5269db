"""The whole conversation, as a program: `python -m tests.peers.rust_sdk.talk BASE_URL FOLDER`; prints each check."""

from __future__ import annotations

import asyncio
import faulthandler
import os
import sys
import traceback
from pathlib import Path

import aiohttp

from tests.peers.rust_sdk import finding, talking, trust
from tests.peers.rust_sdk.person import PASSWORD, Person, id_of, logged_in


async def _registered(base_url: str, *names: str) -> None:
    async with aiohttp.ClientSession(raise_for_status=True) as session:
        for name in names:
            body = {"username": name, "password": PASSWORD, "inhibit_login": True}
            auth = {"type": "m.login.dummy"}
            async with session.post(f"{base_url}/_matrix/client/v3/register", json=body | {"auth": auth}):
                pass


async def converse(base_url: str, folder: Path) -> None:
    """Everything, in order."""
    await _registered(base_url, "alice", "bob")
    alice = await logged_in(base_url, "alice", folder / "alice", "FIRST")
    bob = await logged_in(base_url, "bob", folder / "bob", "FIRST")
    await alice.start()
    await bob.start()
    await trust.be_verified(alice)
    await trust.be_verified(bob)
    room_id = await _talk(alice, bob)
    await _trust(base_url, folder, alice, bob, room_id)
    await _find(alice, bob)
    for person in (alice, bob):
        await person.stop()
        await person.client.logout()


async def _talk(alice: Person, bob: Person) -> str:
    room_id = await talking.meet(alice, bob)
    ours, theirs = await alice.view(room_id), await bob.view(room_id)
    await talking.talk(ours, theirs, room_id)
    await talking.attend(ours, theirs, room_id)
    await talking.thread(ours, theirs, room_id)
    await talking.send_files(ours, theirs)
    await talking.pin(ours, theirs, room_id)
    first = next(event for event in theirs.events if talking.body_of(event) == "hello")
    await talking.look_around(theirs, room_id, str(id_of(first)))
    return room_id


async def _trust(base_url: str, folder: Path, alice: Person, bob: Person, room_id: str) -> None:
    await trust.verify_each_other(alice, bob, room_id)
    key = await trust.enable_recovery(alice)
    second = await trust.verify_second_device(base_url, alice, room_id, folder / "alice")
    third = await trust.recover_third_device(base_url, "alice", key, room_id, folder / "alice")
    for device in (second, third):
        await device.stop()
        await device.client.logout()


async def _find(alice: Person, bob: Person) -> None:
    await finding.introduce(alice, bob)
    garden = await finding.browse(alice, bob)
    await finding.knock(alice, bob)
    await finding.spaces(alice, bob, garden)
    await finding.notifications(alice, bob, garden)
    await finding.arrange(alice, bob, garden)


async def _to_the_end(base_url: str, folder: Path) -> None:
    status = 1
    try:
        await converse(base_url, folder)
        print("all said and done", flush=True)
        status = 0
    except BaseException:
        traceback.print_exc()
        raise
    finally:
        os._exit(status)  # the SDK's threads are not waited for, and would find the loop closed


if __name__ == "__main__":
    faulthandler.dump_traceback_later(170, exit=True)
    asyncio.run(_to_the_end(sys.argv[1], Path(sys.argv[2])))
