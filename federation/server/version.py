"""What this server is (§Server discovery), and where it is to be found."""

from __future__ import annotations

from functools import cache
from typing import Final

from federation import AnonymousCall
from protocol.matrix_error import NotFound
from web.endpoint import Auth, endpoint
from web.reply import Json

NAME: Final = "Hearth"


@endpoint("GET", "/_matrix/federation/v1/version", auth=Auth.NONE)
async def get_version(call: AnonymousCall) -> Json:
    """Name and version."""
    return {"server": {"name": NAME, "version": _version()}}


@endpoint("GET", "/.well-known/matrix/server", auth=Auth.NONE)
async def get_well_known(call: AnonymousCall) -> Json:
    """Where other servers find this one; raises NotFound where it is not configured: then they go by DNS."""
    delegated = call.tenant.settings.federation.well_known
    if delegated is None:
        raise NotFound("This server is to be found under its own name")
    return {"m.server": delegated}


@cache
def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version  # 0.7 MiB with what it imports

    try:
        return version("hearth")
    except PackageNotFoundError:
        return "unknown"
