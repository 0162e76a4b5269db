"""The keys of other servers' users: from our copy where it is good, else their server is asked, and copied."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from protocol.ids import ServerName, UserID
from services.keys.ask import Failures, ask_each, by_server
from services.keys.remote_devices import store_remote_user
from services.keys.remote_json import RemoteUser, user_in_reply
from services.tenant import Tenant
from storage.keys.device_keys import StoredDeviceKeys
from storage.keys.remote_devices import RemoteList, remote_lists, sharing_a_room, track

MAX_USERS = 500  # in one question

Wanted = Mapping[UserID, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered; `copied` is what our copies say, and `failures` the servers that could not be asked."""

    copied: Wanted = field(default_factory=dict)
    users: list[UserID] = field(default_factory=list)
    devices: list[StoredDeviceKeys] = field(default_factory=list)
    keys: dict[tuple[str, str], bytes] = field(default_factory=dict)
    failures: Failures = field(default_factory=dict)


NOTHING = Answer()


@dataclass(frozen=True, slots=True)
class _Asked:
    """Users who are asked for: with whom we share a room, what was known of them, what version their copies have now."""

    known: Mapping[str, RemoteList]
    versions: Mapping[str, int]


async def ask_servers(tenant: Tenant, wanted: Wanted) -> Answer:
    """The keys of users of other servers; those in a room with one of ours are copied, and followed from now on."""
    async with tenant.database.read() as tx:
        known = await remote_lists(tx, wanted)
    copied = {user_id: wanted[user_id] for user_id in wanted if user_id in known and known[user_id].is_good}
    missing = {user_id: devices for user_id, devices in wanted.items() if user_id not in copied}
    answer = Answer(copied, list(copied))
    if not missing:
        return answer
    asked = _Asked(known, await _track(tenant, missing) if tenant.remotes.reachable else {})
    questions = {
        server: partial(_ask, tenant, server, dict(users), asked)
        for server, users in by_server(missing.items()).items()
    }
    answers, failures = await ask_each(tenant, questions)
    answer.failures.update(failures)
    if failures and asked.versions:
        tenant.stale_lists.wake()
    for found in answers.values():
        for user_id, user in found.items():
            _add(answer, user_id, user, missing[user_id])
    return answer


async def _track(tenant: Tenant, users: Wanted) -> dict[str, int]:
    async with tenant.database.read() as tx:
        sharing = await sharing_a_room(tx, list(users))
        return await track(tx, sharing) if sharing else {}


async def _ask(tenant: Tenant, server: ServerName, wanted: Wanted, asked: _Asked) -> dict[UserID, RemoteUser]:
    """Asks the server, for all devices of those who will be copied; and copies them."""
    found: dict[UserID, RemoteUser] = {}
    users = list(wanted)
    for first in range(0, len(users), MAX_USERS):
        some = users[first : first + MAX_USERS]
        whole: dict[str, Sequence[str]] = {
            user_id: [] if user_id in asked.versions else wanted[user_id] for user_id in some
        }
        reply = await tenant.remotes.query_keys(server, whole)
        found |= {user_id: user_in_reply(reply, user_id) for user_id in some}
    copies = (
        store_remote_user(tenant, user_id, user, asked.versions[user_id], news=user_id in asked.known)
        for user_id, user in found.items()
        if user_id in asked.versions
    )
    await asyncio.gather(*copies)
    return found


def _add(answer: Answer, user_id: UserID, user: RemoteUser, devices: Sequence[str]) -> None:
    answer.users.append(user_id)
    answer.devices.extend(device for device in user.devices if not devices or device.device_id in devices)
    for usage, json in user.keys.items():
        answer.keys[user_id, usage] = json
