"""COMPAT: servers that know only the first form of an endpoint, whose answer is an array: a status code, and then the answer."""

from __future__ import annotations

from typing import Any, Final

from federation.client.request import Question, Requests
from protocol.ids import ServerName
from services.ports import RemoteFailed

_REFUSED: Final = (400, 404, 405)
_NOT_THERE: Final = (404, 405)
_UNRECOGNIZED: Final = "M_UNRECOGNIZED"


def knows_no_such_endpoint(failed: RemoteFailed) -> bool:
    """Does the server not know the endpoint? Older ones say so in other ways: «404» with no Matrix error, or «400»."""
    if failed.errcode is None:
        return failed.status in _NOT_THERE
    return failed.errcode == _UNRECOGNIZED and failed.status in _REFUSED


async def ask_either(requests: Requests, server: ServerName, new: Question, old: Question) -> Any:
    """The JSON that answers the new question, or the old one where the server does not know the new; raises RemoteFailed."""
    try:
        return await requests.ask(server, new)
    except RemoteFailed as failed:
        if not knows_no_such_endpoint(failed):
            raise
    said = await requests.ask(server, old)
    return said[1] if isinstance(said, list) and len(said) == 2 else said
