"""Who has signed a third-party invite: the keys that the event which told of it names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from protocol.errors import BadSignature, NotCanonical
from protocol.json import JsonObject, canonical_lenient
from protocol.signing import VerifyKey


def keys_that_signed(signed: JsonObject, pledge: Mapping[str, Any]) -> list[JsonObject]:
    """Of the keys in the content of an m.room.third_party_invite (`public_key`, `key_validity_url`), those with which
    `signed` is signed.
    """
    # «The public keys are in content of m.room.third_party_invite as: a single public key in the public_key
    # property; a list of public keys in the public_keys property.»
    more = pledge.get("public_keys")
    entries = [pledge, *(more if isinstance(more, list) else ())]
    by_server = signed.get("signatures")
    if not isinstance(by_server, dict):
        return []
    signatures = [s for by in by_server.values() if isinstance(by, dict) for s in by.items()]
    covered = {key: value for key, value in signed.items() if key not in ("signatures", "unsigned")}
    try:
        message = canonical_lenient(covered)
    except NotCanonical:
        return []
    return [
        {name: entry[name] for name in ("public_key", "key_validity_url") if name in entry}
        for entry in entries
        if isinstance(entry, dict)
        and any(_matches(message, *one, entry.get("public_key")) for one in signatures)
    ]


def _matches(message: bytes, name: str, signature: object, key: object) -> bool:
    if not name.startswith("ed25519:") or not isinstance(key, str):
        return False
    try:
        VerifyKey.from_base64(name, key).verify(message, signature)
    except BadSignature:
        return False
    return True
