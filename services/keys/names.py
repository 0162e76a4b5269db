"""The names that keys go by, checked before they reach the database."""

from __future__ import annotations

from protocol.matrix_error import InvalidParam

MAX_LENGTH = 255

INTRODUCES = "chat.hearth.introduces"
"""A field of ours in device list updates: they say who is there, not that anything has changed."""


def checked_name(name: str, what: str) -> str:
    """The name itself; raises InvalidParam for one that is empty, endless or contains NUL."""
    if not name or len(name) > MAX_LENGTH or "\0" in name:
        raise InvalidParam(f"{what} is empty, too long, or contains a NUL character")
    return name


def split_key_id(key_id: str) -> tuple[str, str]:
    """The algorithm and the name in `algorithm:name`; raises InvalidParam."""
    algorithm, _, name = checked_name(key_id, "A key ID").partition(":")
    if not algorithm or not name:
        raise InvalidParam(f"This is not a key ID: {key_id}")
    return algorithm, name
