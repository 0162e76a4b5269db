"""Tokens that prove to providers who pushes: JSON Web Tokens, made anew before they expire."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import orjson
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

SECOND: Final = 1_000
ES256, RS256 = "ES256", "RS256"


class CredentialsError(Exception):
    """The file of an application's credentials cannot be used; the text says why."""


def ec_key(file: Path) -> ECKey:
    """The private key on P-256 in a PEM file; raises CredentialsError."""
    try:
        key = ECKey.import_key(file.read_bytes())
        if not key.is_private or key.curve_name != "P-256":
            raise ValueError("it is not a private key on the curve P-256")
    except (OSError, ValueError, JoseError) as error:
        raise CredentialsError(f"{file} is not a private key in PEM form: {error}") from None
    return key


def rsa_key(pem: str, file: Path) -> RSAKey:
    """The private key of a service account; raises CredentialsError."""
    try:
        key = RSAKey.import_key(pem)
        if not key.is_private:
            raise ValueError("it is a public key")
    except (ValueError, JoseError) as error:
        raise CredentialsError(f"{file}: its private_key cannot be used: {error}") from None
    return key


def json_of(file: Path) -> dict[str, Any]:
    """The JSON object in the file; raises CredentialsError."""
    try:
        said = orjson.loads(file.read_bytes())
    except (OSError, orjson.JSONDecodeError) as error:
        raise CredentialsError(f"{file} is not JSON: {error}") from None
    if not isinstance(said, dict):
        raise CredentialsError(f"{file} is not a JSON object")
    return said


def sign(key: ECKey | RSAKey, algorithm: str, claims: Mapping[str, Any], **header: str) -> str:
    """The token."""
    return jwt.encode({"alg": algorithm, **header}, dict(claims), key, algorithms=[algorithm])


class Kept:
    """A token that is used for some time, and then made anew."""

    def __init__(self, make: Callable[[int], str], seconds: int, now: Callable[[], int]) -> None:
        """`make` is told the time in seconds."""
        self._make = make
        self._lifetime = seconds * SECOND
        self._now = now
        self._token = ""
        self._until = 0

    def token(self) -> str:
        """One that is valid."""
        now = self._now()
        if now >= self._until:
            self._token, self._until = self._make(now // SECOND), now + self._lifetime
        return self._token

    def forget(self, token: str) -> None:
        """The provider did not take this one."""
        if token == self._token:
            self._until = 0
