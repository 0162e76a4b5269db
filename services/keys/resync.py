"""Asks again for device lists that are stale, until their servers answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from protocol.ids import UserID
from protocol.matrix_error import MatrixError
from services.background import running
from services.keys.ask import ask_each, by_server
from services.keys.remote_devices import store_remote_user
from services.keys.remote_json import user_in_list
from services.observations import BackgroundFailure
from services.ports import RemoteFailed
from services.tenant import Tenant
from storage.keys.remote_devices import forget_lists, next_due, postpone, sharing_a_room, take_due

AT_ONCE = 50  # users
TAKEN_FOR = 120_000  # ms: should this process die, another one asks after that
FIRST_PAUSE, LONGEST_PAUSE = 30_000, 24 * 60 * 60_000
LOOK_AGAIN = 5 * 60_000

_Due = dict[str, tuple[int, int]]


@asynccontextmanager
async def lists_resynced(tenant: Tenant) -> AsyncIterator[None]:
    """While this lasts, stale lists are asked for."""
    if not tenant.remotes.reachable:
        yield
        return
    async with running({"stale device lists": _resync(tenant)}):
        yield


async def _resync(tenant: Tenant) -> None:
    while True:
        try:
            if not await _ask_those_due(tenant):
                await _until_next(tenant)
        except Exception as error:  # noqa: BLE001 - it goes on
            tenant.observe(BackgroundFailure("stale device lists", error))
            await tenant.clock.sleep(FIRST_PAUSE)


async def _ask_those_due(tenant: Tenant) -> bool:
    """Was there any?"""
    async with tenant.database.transaction() as tx:
        due = await take_due(tx, tenant.clock.now(), TAKEN_FOR, AT_ONCE)
        sharing = await sharing_a_room(tx, list(due)) if due else []
        left = due.keys() - set(sharing)
        if left:
            await forget_lists(tx, left)
    questions = {
        server: partial(_ask, tenant, [UserID(user_id) for user_id, _ in users], due)
        for server, users in by_server((user_id, None) for user_id in sharing).items()
    }
    answers, failures = await ask_each(tenant, questions)
    failed = {user_id for some in answers.values() for user_id in some}
    failed |= {user_id for user_id in sharing if UserID(user_id).partition(":")[2] in failures}
    if failed:
        now = tenant.clock.now()
        pauses = {user_id: min(max(2 * due[user_id][1], FIRST_PAUSE), LONGEST_PAUSE) for user_id in failed}
        async with tenant.database.read() as tx:
            await postpone(tx, {user_id: (now + pause, pause) for user_id, pause in pauses.items()})
    return bool(due)


async def _ask(tenant: Tenant, users: list[UserID], due: _Due) -> list[str]:
    """Asks one server for its users, one after the other; those who could not be had."""
    failed: list[str] = []
    for user_id in users:
        try:
            found = user_in_list(await tenant.remotes.user_devices(user_id), user_id)
        except RemoteFailed as error:
            failed.append(user_id)
            if error.status is None:  # it cannot be reached: no use to ask for the others
                raise
        except MatrixError:
            failed.append(user_id)
        else:
            await store_remote_user(tenant, user_id, found, due[user_id][0], news=True)
    return failed


async def _until_next(tenant: Tenant) -> None:
    async with tenant.database.read() as tx:
        at = await next_due(tx)
    wait = LOOK_AGAIN if at is None else min(max(at - tenant.clock.now(), 1), LOOK_AGAIN)
    waits = [
        asyncio.ensure_future(tenant.stale_lists.wait()),
        asyncio.ensure_future(tenant.clock.sleep(wait)),
    ]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for one in waits:
            one.cancel()
