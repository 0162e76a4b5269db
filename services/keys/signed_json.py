"""Keys as JSON objects that carry signatures: what of them is signed, by whom, and who may see it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from protocol.errors import BadSignature
from protocol.json import JsonObject, canonical
from protocol.matrix_error import BadJson, InvalidParam
from protocol.signing import VerifyKey

ED25519 = "ed25519:"

SignaturesBy = Mapping[str, Mapping[str, str]]
"""Signer -> key ID -> signature."""


def signed_part(json: JsonObject) -> bytes:
    """What signatures are made over, in canonical JSON; two objects that agree in it are the same key."""
    return canonical({name: value for name, value in json.items() if name not in ("signatures", "unsigned")})


def signatures_of(json: JsonObject) -> SignaturesBy:
    """The object's signatures; raises BadJson when they are not shaped like signatures."""
    signatures = json.get("signatures")
    if signatures is None:
        return {}
    if not isinstance(signatures, dict) or not all(map(_is_text_to_text, signatures.values())):
        raise BadJson("signatures must map users to key IDs to signatures")
    return signatures


def _is_text_to_text(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(text, str) for text in value.values())


def public_keys_of(json: JsonObject) -> dict[str, str]:
    """The object's `keys`, key ID -> public key; raises BadJson."""
    keys = json.get("keys")
    if not _is_text_to_text(keys):
        raise BadJson("keys must map key IDs to public keys")
    return dict(keys)  # type: ignore[arg-type]  # it is a dict, or it had been refused


def verify_key(key_id: str, public: str) -> VerifyKey:
    """The public key, to verify signatures with; raises InvalidParam when it is none of ed25519."""
    if not key_id.startswith(ED25519):
        raise InvalidParam(f"{key_id} is not an ed25519 key")
    try:
        return VerifyKey.from_base64(key_id, public)
    except BadSignature as error:
        raise InvalidParam(str(error)) from None


def with_visible_signatures(json: JsonObject, owner: str, viewer: str, more: SignaturesBy) -> JsonObject:
    """The key as the viewer may see it: signed by its owner and, where so, by the viewer; never by others, whose
    signatures would tell whom they have verified. `more` are signatures that came after the key.
    """
    visible: dict[str, dict[str, str]] = {}
    for signatures in (json.get("signatures") or {}, more):
        for signer in (owner, viewer):
            if signer in signatures:
                visible.setdefault(signer, {}).update(signatures[signer])
    return {**json, "signatures": visible} if visible or "signatures" in json else json
