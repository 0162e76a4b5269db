"""Secrets that are shown to a client once, and of which only a digest is kept."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

from services.tenant import Random

# What a token is for can be seen from its first letters: a token in a log can be told from another, and be searched for.
ACCESS, REFRESH, LOGIN, OPENID = "hta_", "htr_", "htl_", "hto_"
LENGTH = 43  # 256 bits in letters and digits
FAMILY = 22


@dataclass(frozen=True, slots=True)
class Token:
    """The secret, for the client, and the digest by which the server knows it again."""

    secret: str
    digest: bytes


def new_token(random: Random, kind: str) -> Token:
    """A token that nobody can guess."""
    secret = kind + random.token(LENGTH)
    return Token(secret, digest_of(secret))


def new_family(random: Random) -> str:
    """The beginning that all refresh tokens of one session have in common."""
    return random.token(FAMILY)


def family_of(refresh_token: str) -> str:
    """The family of a refresh token; empty for those that have none."""
    return refresh_token[len(REFRESH) : -LENGTH]


def digest_of(secret: str) -> bytes:
    """What the database knows a token by; a plain hash is enough, since a token cannot be guessed."""
    return sha256(secret.encode("utf-8", "surrogatepass")).digest()
