"""Backups of room keys, which only their owner can read (§Server-side key backups)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass

import orjson
from orjson import Fragment

from protocol.ids import UserID
from protocol.json import JsonObject
from protocol.matrix_error import InvalidParam, NotFound, WrongRoomKeysVersion
from services.tenant import Tenant
from storage.database import Tx
from storage.key_backup import Backup as Backup
from storage.key_backup import Session as Session
from storage.key_backup import (
    delete_backup,
    delete_sessions,
    get_backup,
    insert_backup,
    lock_backup,
    merge_sessions,
    sessions_of,
    set_auth_data,
)

MAX_DIGITS = 18


@dataclass(frozen=True, slots=True)
class Shelf:
    """What a request is about: the whole backup, the sessions of a room in it, or one of them."""

    user_id: UserID
    version: str
    room_id: str | None = None
    session_id: str | None = None


async def create_backup(tenant: Tenant, user_id: UserID, algorithm: str, auth_data: JsonObject) -> str:
    """The version that is the current one from now on."""
    async with tenant.database.transaction() as tx:
        return str(await insert_backup(tx, user_id, algorithm, orjson.dumps(auth_data)))


async def find_backup(tenant: Tenant, user_id: UserID, version: str | None) -> Backup:
    """The version, or the current one when none is named; raises NotFound."""
    async with tenant.database.read() as tx:
        return await _backup(tx, user_id, None if version is None else _number(version))


async def update_backup(
    tenant: Tenant, user_id: UserID, version: str, algorithm: str, auth_data: JsonObject
) -> None:
    """Replaces the version's auth_data. Raises NotFound, or InvalidParam for another algorithm."""
    number = _number(version)
    async with tenant.database.transaction() as tx:
        if (await _backup(tx, user_id, number)).algorithm != algorithm:
            raise InvalidParam("A backup's algorithm cannot be changed")
        await set_auth_data(tx, user_id, number, orjson.dumps(auth_data))


async def remove_backup(tenant: Tenant, user_id: UserID, version: str) -> None:
    """Deletes the version and its keys; raises NotFound when there never was one."""
    number = _number(version)
    async with tenant.database.transaction() as tx:
        await lock_backup(tx, user_id, number)
        if not await delete_backup(tx, user_id, number):
            raise NotFound("There is no such backup")


async def store_sessions(tenant: Tenant, shelf: Shelf, sessions: Collection[Session]) -> Backup:
    """The backup after the sessions were merged into it. Raises NotFound, and WrongRoomKeysVersion for an older one."""
    async with _locked(tenant, shelf) as (tx, number):
        current = await _backup(tx, shelf.user_id)
        if current.version != number:
            raise WrongRoomKeysVersion(str(current.version))
        await merge_sessions(tx, shelf.user_id, number, sessions)
        return await _backup(tx, shelf.user_id, number)


async def stored_sessions(tenant: Tenant, shelf: Shelf) -> dict[str, dict[str, JsonObject]]:
    """The sessions on the shelf, by room and session ID; raises NotFound when there is no such backup."""
    number = _number(shelf.version)
    async with tenant.database.read() as tx:
        await _backup(tx, shelf.user_id, number)
        found = await sessions_of(tx, shelf.user_id, number, shelf.room_id, shelf.session_id)
    rooms: dict[str, dict[str, JsonObject]] = {}
    for row in found:
        rooms.setdefault(row["room_id"], {})[row["session_id"]] = {
            "is_verified": row["is_verified"],
            "first_message_index": row["first_message_index"],
            "forwarded_count": row["forwarded_count"],
            "session_data": Fragment(row["session_data"]),
        }
    return rooms


async def remove_sessions(tenant: Tenant, shelf: Shelf) -> Backup:
    """The backup after the sessions on the shelf were deleted; raises NotFound."""
    async with _locked(tenant, shelf) as (tx, number):
        await delete_sessions(tx, shelf.user_id, number, shelf.room_id, shelf.session_id)
        return await _backup(tx, shelf.user_id, number)


@asynccontextmanager
async def _locked(tenant: Tenant, shelf: Shelf) -> AsyncIterator[tuple[Tx, int]]:
    """A transaction in which nobody else changes the backup; raises NotFound when there is none."""
    number = _number(shelf.version)
    async with tenant.database.transaction() as tx:
        if not await lock_backup(tx, shelf.user_id, number):
            raise NotFound("There is no such backup")
        yield tx, number


async def _backup(tx: Tx, user_id: UserID, version: int | None = None) -> Backup:
    backup = await get_backup(tx, user_id, version)
    if backup is None:
        raise NotFound("There is no such backup")
    return backup


def _number(version: str) -> int:
    """Versions are texts for clients, and numbers here; raises NotFound for one that cannot be."""
    if not (version.isascii() and version.isdigit() and len(version) <= MAX_DIGITS):
        raise NotFound("There is no such backup")
    return int(version)
