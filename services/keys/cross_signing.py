"""A user publishes cross-signing keys (§Cross-signing)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from protocol.errors import BadSignature
from protocol.ids import UserID
from protocol.json import JsonObject, canonical
from protocol.matrix_error import Forbidden, InvalidSignature, MissingParam
from protocol.signing import verify_json
from services.accounts.uia import PASSWORD, Operation, require_uia
from services.keys.device_lists import device_list_changed
from services.keys.signed_json import ED25519, signed_part
from services.keys.usage import PublicKey, Usage, checked_key, public_key_of
from services.oauth.approval import require_approval
from services.requester import Requester
from services.tenant import Tenant
from storage.devices import get_devices
from storage.journal import Row
from storage.keys.cross_signing import SET_CROSS_SIGNING_KEYS, cross_signing_keys_of
from storage.keys.device_changes import CROSS_SIGNING

Keys = Mapping[Usage, JsonObject]


@dataclass(frozen=True, slots=True)
class _Before:
    """What the user has already."""

    keys: Keys
    device_ids: frozenset[str]


async def upload_cross_signing_keys(
    tenant: Tenant, requester: Requester, given: Keys, operation: Operation
) -> None:
    """Publishes the keys; the first ones at once, others only when it is certain that the user wants it.

    Raises InvalidParam, InvalidSignature, MissingParam (no master key), Forbidden (a key that is named like one of the
    user's devices), InteractiveAuthNeeded.
    """
    user_id = requester.user_id
    before = await _before(tenant, user_id)
    _check(before, user_id, given)
    new = {usage: json for usage, json in given.items() if not _is_same(before.keys.get(usage), json)}
    if not new:
        return
    if Usage.MASTER in before.keys:
        await _confirm(tenant, requester, operation)
    await device_list_changed(tenant, user_id, [CROSS_SIGNING], _row(user_id, before.keys, given, new))


async def _confirm(tenant: Tenant, requester: Requester, operation: Operation) -> None:
    if requester.through_oauth:
        await require_approval(tenant, requester)
    elif requester.appservice is None:
        await require_uia(tenant, requester, operation, PASSWORD)


async def _before(tenant: Tenant, user_id: UserID) -> _Before:
    async with tenant.database.read() as tx:
        stored = await cross_signing_keys_of(tx, [user_id])
        devices = await get_devices(tx, user_id)
    keys = {Usage(usage): orjson.loads(json) for (_, usage), json in stored.items()}
    return _Before(keys, frozenset(device.device_id for device in devices))


def _check(before: _Before, user_id: UserID, given: Keys) -> None:
    keys = {usage: checked_key(json, user_id, usage) for usage, json in given.items()}
    if any(key.public in before.device_ids for key in keys.values()):
        raise Forbidden("A key has the same name as one of your devices")
    master = keys.get(Usage.MASTER)
    if master is None and Usage.MASTER in before.keys:
        master = public_key_of(before.keys[Usage.MASTER])
    if master is None:
        raise MissingParam("You have no master key")
    for usage, json in given.items():
        if usage is not Usage.MASTER:
            _check_signed(json, user_id, master)


def _check_signed(json: JsonObject, user_id: UserID, master: PublicKey) -> None:
    try:
        verify_json(json, user_id, master.to_verify())
    except BadSignature as error:
        raise InvalidSignature(f"The key is not signed by your master key: {error}") from None


def _is_same(stored: JsonObject | None, given: JsonObject) -> bool:
    return stored is not None and signed_part(stored) == signed_part(given)


def _row(user_id: UserID, before: Keys, given: Keys, new: Keys) -> Row:
    """What is to be written. With a new master key, whatever is not given with it has lost its worth."""
    is_new_master = Usage.MASTER in new
    written = given if is_new_master else new
    outdated = [
        public_key_of(json).public
        for usage, json in before.items()
        if usage in new or (is_new_master and usage not in given)
    ]
    return Row(
        SET_CROSS_SIGNING_KEYS,
        (
            user_id,
            [str(usage) for usage in written],
            [canonical(_stored_form(json)) for json in written.values()],
            is_new_master,
            outdated,
            [ED25519 + public for public in outdated],
        ),
    )


def _stored_form(json: JsonObject) -> JsonObject:
    return {name: value for name, value in json.items() if name != "unsigned"}
