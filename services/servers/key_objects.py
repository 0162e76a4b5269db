"""The key objects that servers publish: those of others read and checked, ours made (§Publishing Keys)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from protocol.errors import BadSignature, NotCanonical
from protocol.ids import ServerName
from protocol.json import JsonObject, canonical_lenient
from protocol.signing import SigningKey, VerifyKey, sign_json, verify_json
from services.settings import DAY
from storage.servers.keys import StoredKey

LONGEST_VALIDITY: Final = 7 * DAY
"""«Servers MUST use the lesser of this field and 7 days into the future when determining if a key is valid.»"""
PUBLISHED_FOR: Final = DAY
MAX_KEYS: Final = 32
MAX_OBJECT: Final = 16 * 1024
"""Bytes: it is kept with each of its keys."""
MAX_KEY_ID: Final = 255


def own_key_object(
    name: ServerName, key: SigningKey, old_keys: Iterable[VerifyKey], now: int, valid_for: int = PUBLISHED_FOR
) -> JsonObject:
    """What this server publishes, signed; of old keys `valid_until` is when they expired."""
    published = {
        "server_name": name,
        "valid_until_ts": now + valid_for,
        "verify_keys": {key.name: {"key": key.verify_key.to_base64()}},
        "old_verify_keys": {
            old.name: {"key": old.to_base64(), "expired_ts": old.valid_until} for old in old_keys
        },
    }
    return sign_json(published, name, key)


def read_key_object(server: ServerName, published: object, now: int) -> list[StoredKey]:
    """The keys in what the server is said to have published; raises BadSignature unless it did publish this."""
    if not isinstance(published, dict) or published.get("server_name") != server:
        raise BadSignature("not a key object of this server")
    current = dict(_keys(published.get("verify_keys")))
    old = dict(_keys(published.get("old_verify_keys")))
    until = _time(published.get("valid_until_ts"))
    if until is None or not current or len(current) + len(old) > MAX_KEYS:
        raise BadSignature("not a key object")
    # It «MUST» be signed by each of the keys; that is checked of all that did sign, and one must have.
    verify_json(published, server, {name: key for name, (key, _) in current.items()})
    until = min(until, now + LONGEST_VALIDITY)
    json = _within_limit(published)

    def stored(key: VerifyKey, valid_until: int, *, is_current: bool) -> StoredKey:
        return StoredKey(server, key.name, key.to_base64(), valid_until, is_current, now, until, json)

    keys = [stored(key, until, is_current=True) for key, _ in current.values()]
    for name, (key, said) in old.items():
        expired = _time(said.get("expired_ts"))
        if expired is not None and name not in current:
            # Old keys are never good for what is signed now, whatever the object says.
            keys.append(stored(key, min(expired, now - 1), is_current=False))
    return keys


def verify_keys_of(keys: Iterable[StoredKey]) -> dict[str, VerifyKey]:
    """The keys as signatures are checked with them."""
    return {key.key_id: VerifyKey.from_base64(key.key_id, key.key, key.valid_until) for key in keys}


def objects_of(keys: Sequence[StoredKey]) -> list[bytes]:
    """The different objects in which these keys were published."""
    return list({key.json: None for key in keys})


def _within_limit(published: JsonObject) -> bytes:
    try:
        json = canonical_lenient(published)
    except NotCanonical as error:
        raise BadSignature(str(error)) from None
    if len(json) > MAX_OBJECT:
        raise BadSignature("too large a key object")
    return json


def _keys(said: object) -> Iterator[tuple[str, tuple[VerifyKey, dict[str, Any]]]]:
    for name, entry in said.items() if isinstance(said, dict) else ():
        key = entry.get("key") if isinstance(entry, dict) else None
        if (
            not name.startswith("ed25519:")
            or len(name) > MAX_KEY_ID
            or not isinstance(key, str)
            or "\0" in name
        ):
            continue
        try:
            yield name, (VerifyKey.from_base64(name, key), entry)
        except BadSignature:
            continue  # one that nobody can use says nothing of the others


def _time(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
