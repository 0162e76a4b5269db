"""Tokens: the place in the journal that a client has read to, in /sync and in /messages.

`s<position>_<ephemeral>`: the second number is that of typing and presence, which are not in the journal. When not all
messages to a device were delivered, a third says how far they were. In a room, a token stands behind the event at its
position: towards older events comes that one, towards newer events the next one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from protocol.matrix_error import InvalidParam

_FORM = re.compile(r"s(-?[0-9]{1,18})_([0-9]{1,18})(?:_([0-9]{1,18}))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Token:
    """A point in time; `to_device` None: all messages to the device up to `position` were delivered."""

    position: int
    ephemeral: int = 0
    to_device: int | None = None

    def __str__(self) -> str:
        text = f"s{self.position}_{self.ephemeral}"
        return text if self.to_device is None else f"{text}_{self.to_device}"


def parse_token(text: str) -> Token:
    """The token that the text is; raises InvalidParam."""
    match = _FORM.fullmatch(text)
    if match is None:
        raise InvalidParam("This is not a token that this server has given out")
    position, ephemeral, to_device = match.groups()
    return Token(int(position), int(ephemeral), None if to_device is None else int(to_device))
