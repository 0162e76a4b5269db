"""Cross-signing keys: what each is for, and what a valid one looks like (§Cross-signing)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from protocol.ids import UserID
from protocol.json import JsonObject
from protocol.matrix_error import InvalidParam
from protocol.signing import VerifyKey
from services.keys.names import checked_name
from services.keys.signed_json import ED25519, public_keys_of, signatures_of, verify_key


class Usage(StrEnum):
    """What a cross-signing key is for."""

    MASTER = "master"
    SELF_SIGNING = "self_signing"
    USER_SIGNING = "user_signing"


@dataclass(frozen=True, slots=True)
class PublicKey:
    """The one public key in a cross-signing key object; its ID is `ed25519:` and the key itself."""

    key_id: str
    public: str

    def to_verify(self) -> dict[str, VerifyKey]:
        """For `verify_json`; raises InvalidParam when it is no key."""
        return {self.key_id: verify_key(self.key_id, self.public)}


def public_key_of(json: JsonObject) -> PublicKey:
    """The object's public key, which has been checked before."""
    [(key_id, public)] = json["keys"].items()
    return PublicKey(key_id, public)


def checked_key(json: JsonObject, user_id: UserID, usage: Usage) -> PublicKey:
    """The public key of an object that is to be the user's key for this; raises InvalidParam or BadJson."""
    if json.get("user_id") != user_id:
        raise InvalidParam("The key is not yours")
    if json.get("usage") != [usage]:
        raise InvalidParam(f"The key's usage must be {usage} alone")
    keys = public_keys_of(json)
    if len(keys) != 1:
        # «The object MUST have exactly one property»
        raise InvalidParam("A cross-signing key has exactly one public key")
    key = public_key_of(json)
    if key.key_id != ED25519 + checked_name(key.public, "A public key"):
        raise InvalidParam("The key's ID must be ed25519: and the key")
    key.to_verify()
    signatures_of(json)
    return key
