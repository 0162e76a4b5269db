"""A tenant's signing key: read from its file, or made at the first start."""

from __future__ import annotations

import os
from pathlib import Path

from protocol.errors import ProtocolError
from protocol.signing import SigningKey, VerifyKey, read_key_file, write_key_file
from services.tenant import Random


class KeyFileError(Exception):
    """The key file cannot be used; the text says why."""


def signing_key(file: Path, random: Random) -> SigningKey:
    """The first key of the file; makes the file, for our eyes only, when it is not there."""
    if not file.exists():
        _make(file, random)
    try:
        keys = read_key_file(file.read_text(encoding="ascii"))
    except (OSError, UnicodeDecodeError, ProtocolError) as error:
        raise KeyFileError(f"{file}: {error}") from None
    if not keys:
        raise KeyFileError(f"{file}: there is no key in it")
    return keys[0]


def old_keys(file: Path) -> tuple[VerifyKey, ...]:
    """The keys that the file's key has replaced; `valid_until` is when each expired.

    They stand in a file of the same name and `.old`, a line each: algorithm, version, public key, and the
    milliseconds since 1970 at which it was last used.
    """
    old = _old_file(file)
    try:
        lines = old.read_text(encoding="ascii").splitlines()
        return tuple(_old_key(line.split()) for line in lines if line.strip())
    except FileNotFoundError:
        return ()
    except (OSError, ValueError, ProtocolError) as error:
        raise KeyFileError(f"{old}: {error}") from None


def rotate(file: Path, random: Random, now: int) -> SigningKey:
    """A new key; the one that it replaces is written down as an old one first."""
    key = signing_key(file, random)
    algorithm, _, version = key.name.partition(":")
    with _old_file(file).open("a", encoding="ascii") as output:
        output.write(f"{algorithm} {version} {key.verify_key.to_base64()} {now}\n")
        output.flush()
        os.fsync(output.fileno())
    file.unlink()
    return signing_key(file, random)


def _old_key(fields: list[str]) -> VerifyKey:
    if len(fields) != 4:
        raise ProtocolError("a line is not: algorithm version key expired_ts")
    algorithm, version, key, expired = fields
    return VerifyKey.from_base64(f"{algorithm}:{version}", key, int(expired))


def _old_file(file: Path) -> Path:
    return file.with_name(f"{file.name}.old")


def _make(file: Path, random: Random) -> None:
    """Written whole before it has its name: a key that was once used must never be lost or torn."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = SigningKey.from_seed(f"ed25519:a_{random.token(4)}", random.bytes(32))
    fresh = file.with_name(f"{file.name}.{os.getpid()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as output:
        output.write(write_key_file(key))
        output.flush()
        os.fsync(output.fileno())
    try:
        os.link(fresh, file)  # of two processes that start at once, one makes the key
    except FileExistsError:
        pass
    finally:
        fresh.unlink()
