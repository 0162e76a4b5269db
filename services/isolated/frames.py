"""How questions and answers go through a pipe: two lengths, JSON, bytes. No pickles: the child is not trusted."""

from __future__ import annotations

import json
import struct
from typing import Any

HEAD = struct.Struct(">IQ")


def frame(told: dict[str, Any], data: bytes) -> bytes:
    """One question or answer."""
    text = json.dumps(told).encode()
    return HEAD.pack(len(text), len(data)) + text + data
