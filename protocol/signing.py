"""Signing JSON and events, and checking signatures (§Signing JSON, §Signing Events)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from nacl.bindings import crypto_sign, crypto_sign_BYTES
from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey as NaclSigningKey
from nacl.signing import VerifyKey as NaclVerifyKey

from protocol.errors import BadSignature, InvalidId, NotCanonical, ProtocolError
from protocol.events import Event
from protocol.hashes import signed_bytes
from protocol.ids import ServerName, server_of
from protocol.json import JsonObject, canonical, canonical_lenient
from protocol.unpadded_base64 import decode_base64, encode_base64

_ALGORITHM: Final = "ed25519"
_KEY_NAME = re.compile(r"[a-zA-Z0-9_]+")


@dataclass(frozen=True, slots=True, repr=False)
class SigningKey:
    """Our own key, with which we sign; its `name` is the key ID: `ed25519:a_ABCD`."""

    name: str
    seed: bytes
    _secret: bytes
    _public: bytes

    @classmethod
    def from_seed(cls, name: str, seed: bytes) -> "SigningKey":
        """The key of this key ID that these 32 secret bytes give; raises InvalidId for a bad key ID."""
        algorithm, _, rest = name.partition(":")
        if algorithm != _ALGORITHM or not _KEY_NAME.fullmatch(rest):
            raise InvalidId(f"not a key ID: {name!r}")
        public = bytes(NaclSigningKey(seed).verify_key)
        return cls(name, seed, seed + public, public)

    def sign(self, message: bytes) -> str:
        """The signature in unpadded base64."""
        return encode_base64(crypto_sign(message, self._secret)[:crypto_sign_BYTES])

    @property
    def verify_key(self) -> "VerifyKey":
        """What others check our signatures with."""
        return VerifyKey(self.name, self._public)

    def __repr__(self) -> str:
        return f"<SigningKey {self.name}>"


def write_key_file(key: SigningKey) -> str:
    """The key as one line of the key file format that signedjson reads: algorithm, version, seed."""
    algorithm, _, version = key.name.partition(":")
    return f"{algorithm} {version} {encode_base64(key.seed)}\n"


def read_key_file(text: str) -> list[SigningKey]:
    """The keys in such a file; raises ProtocolError."""
    keys = []
    for line in filter(None, map(str.strip, text.splitlines())):
        fields = line.split()
        if len(fields) != 3:
            raise ProtocolError("a line of the key file is not: algorithm version seed")
        try:
            keys.append(SigningKey.from_seed(f"{fields[0]}:{fields[1]}", decode_base64(fields[2])))
        except ValueError as e:
            raise ProtocolError(f"bad seed in the key file: {e}") from e
    return keys


@dataclass(frozen=True, slots=True)
class VerifyKey:
    """Another server's public key; `valid_until` (ms) is the latest origin_server_ts that it is good for."""

    name: str
    key: bytes
    valid_until: int | None = None

    @classmethod
    def from_base64(cls, name: str, key: str, valid_until: int | None = None) -> "VerifyKey":
        """The key as servers publish it; raises BadSignature if it is none."""
        try:
            return cls(name, bytes(NaclVerifyKey(decode_base64(key))), valid_until)
        except ValueError as e:
            raise BadSignature(f"not an ed25519 key: {name}") from e

    def to_base64(self) -> str:
        """The key as servers publish it."""
        return encode_base64(self.key)

    def verify(self, message: bytes, signature: object) -> None:
        """Raise BadSignature unless the signature (base64) of the message is this key's."""
        if not isinstance(signature, str):
            raise BadSignature("a signature is not a string")
        try:
            NaclVerifyKey(self.key).verify(message, decode_base64(signature))
        except (ValueError, BadSignatureError) as e:
            raise BadSignature(f"wrong signature by {self.name}") from e


def sign_json(json: JsonObject, server: str, key: SigningKey) -> JsonObject:
    """A copy of the object with our signature added; raises NotCanonical."""
    signatures = {name: dict(by) for name, by in json.get("signatures", {}).items()}
    signatures.setdefault(server, {})[key.name] = key.sign(canonical(_signed_part(json)))
    return {**json, "signatures": signatures}


def verify_json(json: JsonObject, server: str, keys: Mapping[str, VerifyKey]) -> None:
    """Raise BadSignature unless the server signed with a key that we have, and with none of those wrongly."""
    try:
        message = canonical_lenient(_signed_part(json))
    except NotCanonical as e:
        raise BadSignature(f"not signable: {e}") from e
    _verify(message, json.get("signatures"), server, keys)


def _signed_part(json: JsonObject) -> JsonObject:
    return {key: value for key, value in json.items() if key not in ("signatures", "unsigned")}


def _verify(message: bytes, signatures: Any, server: str, keys: Mapping[str, VerifyKey]) -> None:
    # Every signature of the server made with a known, unexpired key must verify, and there must be one
    # (clarified in v1.19); those by unknown keys are passed over.
    by_server: Any = signatures.get(server) if isinstance(signatures, dict) else None
    known = [name for name in by_server if name in keys] if isinstance(by_server, dict) else []
    if not known:
        raise BadSignature(f"not signed by {server} with a known key")
    for name in known:
        keys[name].verify(message, by_server[name])


def sign_event(event: Event, server: str, key: SigningKey) -> Event:
    """The event with our signature added to those that it has (invites, restricted joins)."""
    signatures = {name: dict(by) for name, by in event.json["signatures"].items()}
    signatures.setdefault(server, {})[key.name] = key.sign(signed_bytes(event.json, event.version))
    json = {**event.json, "signatures": signatures}
    return Event.from_trusted(json, event.event_id, event.version, event.room_id)


def required_signers(event: Event) -> set[ServerName]:
    """The servers that must have signed the event; raises InvalidId if it names none where it should."""
    signers = set()
    content, membership = event.content, event.membership
    # The server of a third-party invite's sender need not have signed: the identity server set it off.
    if not (membership == "invite" and "third_party_invite" in content):
        signers.add(server_of(event.sender))
    if event.version.event_id_names_server:
        signers.add(server_of(event.event_id))
    if event.version.restricted_join_rule and membership == "join":
        via = content.get("join_authorised_via_users_server")
        if via is not None:
            signers.add(server_of(str(via)))
    return signers


def check_event_signatures(event: Event, keys: Mapping[ServerName, Mapping[str, VerifyKey]]) -> None:
    """Raise BadSignature unless each required server signed with a key that was good at the event's time."""
    try:
        signers = required_signers(event)
    except InvalidId as e:
        raise BadSignature(str(e)) from e
    message = signed_bytes(event.json, event.version)
    for server in signers:
        good = {name: key for name, key in keys.get(server, {}).items() if _is_good_for(key, event)}
        _verify(message, event.json.get("signatures"), server, good)


def _is_good_for(key: VerifyKey, event: Event) -> bool:
    if not event.version.enforce_key_validity or key.valid_until is None:
        return True
    return event.origin_server_ts <= key.valid_until
