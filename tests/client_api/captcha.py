"""A provider of captchas whose riddle has the answer `right`."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

from services.settings import Captcha
from tests.fixtures.lying_server import Asked, LyingServer

FIELD = "h-captcha-response"


def asks_riddles(server: LyingServer) -> LyingServer:
    """From now on the server is such a provider."""

    def verify(asked: Asked) -> dict[str, Any]:
        form = parse_qs(asked.body.decode())
        return {"success": form == {"secret": ["hush"], "response": ["right"]}}

    server.on("POST", "/siteverify", verify)
    return server


def captcha_of(provider: LyingServer) -> Captcha:
    """What a homeserver is configured with."""
    host = f"https://localhost:{provider.port}"
    return Captcha("<site>", "hush", f"{host}/api.js", f"{host}/siteverify", "h-captcha", FIELD)
