"""Which thumbnail a request asks for."""

from __future__ import annotations

from typing import Any

from protocol.matrix_error import InvalidParam
from services.tenant import Tenant
from web.call import Call

_MAX_SIDE = 8192


def asked_thumbnail(call: Call[Tenant, Any]) -> tuple[int, int, str]:
    """Width, height and method; raises InvalidParam."""
    width = call.query_integer("width", 0, 1, _MAX_SIDE)
    height = call.query_integer("height", 0, 1, _MAX_SIDE)
    method = call.query_text("method", "scale")
    if not width or not height:
        raise InvalidParam("width and height are needed")
    if method not in ("crop", "scale"):
        raise InvalidParam("method must be crop or scale")
    return width, height, method
