"""A user publishes signatures: of the own devices and master key, and of others' master keys (§Cross-signing)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import orjson

from protocol.errors import BadSignature, NotCanonical
from protocol.ids import UserID
from protocol.json import JsonObject
from protocol.matrix_error import BadJson, InvalidParam, InvalidSignature, MatrixError, NotFound
from protocol.signing import VerifyKey, verify_json
from services.keys.device_lists import device_list_changed
from services.keys.signed_json import ED25519, signatures_of, signed_part, verify_key
from services.keys.usage import Usage, public_key_of
from services.tenant import Tenant
from storage import topics
from storage.journal import Change, Row
from storage.keys.cross_signing import cross_signing_keys_of
from storage.keys.device_changes import CROSS_SIGNING
from storage.keys.device_keys import device_keys_of
from storage.keys.signatures import SIGN_OWN_KEYS, SIGN_USERS, Signatures, visible_signatures

Uploaded = Mapping[UserID, Mapping[str, JsonObject]]
"""User ID -> name of the key (device ID, or public key) -> the key with new signatures."""

Failures = dict[str, dict[str, MatrixError]]


@dataclass(frozen=True, slots=True)
class _Known:
    """The keys of the signer and of those whose keys are signed, and which signatures there are."""

    signer: UserID
    devices: Mapping[str, JsonObject]
    users: Mapping[tuple[str, str], JsonObject]
    signatures: Signatures

    def device_verify_keys(self) -> dict[str, VerifyKey]:
        """What the signer's devices sign with."""
        found = {}
        for device_id, json in self.devices.items():
            key_id = ED25519 + device_id
            try:
                found[key_id] = verify_key(key_id, json["keys"].get(key_id, ""))
            except InvalidParam:
                continue  # a device may publish whatever it likes; it cannot sign with that
        return found

    def verify_key_for(self, usage: Usage) -> dict[str, VerifyKey]:
        """The signer's cross-signing key; raises NotFound."""
        json = self.users.get((self.signer, usage))
        if json is None:
            raise NotFound(f"You have no {usage} key")
        return public_key_of(json).to_verify()


@dataclass(frozen=True, slots=True)
class _New:
    """Signatures to be written: parallel lists of target users, key names, the signer's key IDs, signatures."""

    targets: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    key_ids: list[str] = field(default_factory=list)
    signatures: list[str] = field(default_factory=list)

    def add(self, target: str, name: str, by: Mapping[str, str]) -> None:
        """Signatures of one key, by the IDs of the keys that they were made with."""
        for key_id, signature in by.items():
            self.targets.append(target)
            self.names.append(name)
            self.key_ids.append(key_id)
            self.signatures.append(signature)

    def values(self, signer: UserID) -> tuple[object, ...]:
        """As the statements take them."""
        return signer, self.targets, self.names, self.key_ids, self.signatures


async def upload_signatures(tenant: Tenant, signer: UserID, uploaded: Uploaded) -> Failures:
    """Keeps the signatures that are right; the others are in the result, with what is wrong."""
    known = await _known(tenant, signer, uploaded)
    own, others, failures = _New(), _New(), Failures()
    for target, name, json in _each(uploaded):
        try:
            by = _verified(known, target, name, json)
        except MatrixError as error:
            failures.setdefault(target, {})[name] = error
        else:
            (own if target == signer else others).add(target, name, by)
    if own.targets:
        names = [name if name in known.devices else CROSS_SIGNING for name in own.names]
        await device_list_changed(tenant, signer, names, Row(SIGN_OWN_KEYS, own.values(signer)))
    if others.targets:
        # Nobody else is shown the signatures of somebody's user-signing key: so it is news for the signer's devices alone.
        row = Row(SIGN_USERS, others.values(signer))
        await tenant.journal.append(Change((row,), (topics.device_lists(signer),)))
    return failures


def _each(uploaded: Uploaded) -> Iterator[tuple[str, str, JsonObject]]:
    for target, keys in uploaded.items():
        for name, json in keys.items():
            yield target, name, json


async def _known(tenant: Tenant, signer: UserID, uploaded: Uploaded) -> _Known:
    users = [signer, *uploaded]
    async with tenant.database.read() as tx:
        devices = await device_keys_of(tx, [(signer, None)])
        keys = await cross_signing_keys_of(tx, users)
        signatures = await visible_signatures(tx, users, signer)
    return _Known(
        signer,
        {device.device_id: orjson.loads(device.json) for device in devices},
        {key: orjson.loads(json) for key, json in keys.items()},
        signatures,
    )


def _verified(known: _Known, target: str, name: str, json: JsonObject) -> dict[str, str]:
    """The new ones among the signer's signatures of this key, all of them right; raises MatrixError."""
    stored, signing = _stored_and_signing(known, target, name)
    try:
        is_same = signed_part(stored) == signed_part(json)
    except NotCanonical as error:
        raise BadJson(str(error)) from None
    if not is_same:
        raise InvalidSignature("What is signed is not the key that we have")
    by = signatures_of(json).get(known.signer, {})
    try:
        verify_json(json, known.signer, signing)
    except BadSignature as error:
        raise InvalidSignature(str(error)) from None
    before = known.signatures.get((target, name), {}).get(known.signer, {})
    return {key_id: by[key_id] for key_id in by if key_id in signing and before.get(key_id) != by[key_id]}


def _stored_and_signing(known: _Known, target: str, name: str) -> tuple[JsonObject, Mapping[str, VerifyKey]]:
    """The key as we have it, and what the signer may sign it with; raises NotFound.

    The own devices are signed by the self-signing key, the own master key by devices, others' by the user-signing key.
    """
    master = known.users.get((target, Usage.MASTER))
    if master is not None and public_key_of(master).public == name:
        if target == known.signer:
            return master, known.device_verify_keys()
        return master, known.verify_key_for(Usage.USER_SIGNING)
    if target == known.signer and name in known.devices:
        return known.devices[name], known.verify_key_for(Usage.SELF_SIGNING)
    raise NotFound("There is no such key")
