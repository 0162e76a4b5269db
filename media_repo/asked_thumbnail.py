"""Which thumbnail a request asks for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from protocol.matrix_error import InvalidParam
from services.tenant import Tenant
from web.call import Call

_MAX_SIDE = 8192


@dataclass(frozen=True, slots=True)
class AskedThumbnail:
    """A size, how to get to it, and whether a picture that moves is wanted where there is one."""

    width: int
    height: int
    method: str
    animated: bool = False


def asked_thumbnail(call: Call[Tenant, Any]) -> AskedThumbnail:
    """What the query says; raises InvalidParam."""
    width = call.query_integer("width", 0, 1, _MAX_SIDE)
    height = call.query_integer("height", 0, 1, _MAX_SIDE)
    method = call.query_text("method", "scale")
    if not width or not height:
        raise InvalidParam("width and height are needed")
    if method not in ("crop", "scale"):
        raise InvalidParam("method must be crop or scale")
    # «When not provided, the server SHOULD NOT return an animated thumbnail.»
    return AskedThumbnail(width, height, method, call.query_flag("animated", False))
