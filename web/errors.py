"""Every exception that leaves an endpoint becomes a response here, and nowhere else."""

from aiohttp import web

from protocol import errors
from protocol.matrix_error import (
    BadJson,
    Forbidden,
    InvalidParam,
    MatrixError,
    NotJson,
    TooLarge,
    Translated,
    Unknown,
    UnsupportedRoomVersion,
)
from web.json_response import json_response

MS_PER_SECOND = 1000


def refusal(error: MatrixError) -> web.Response:
    """The response that tells the client of the error; after a rate limit it says when to come back."""
    wait = error.retry_after_ms
    # «Retry-After», in whole seconds: rounded up, so that who waits as told is not refused again.
    headers = None if wait is None else {"Retry-After": str(-(-wait // MS_PER_SECOND))}
    return json_response(error.status, error.body(), headers)


def matrix_error(error: Exception) -> MatrixError | None:
    """What the client is told of the exception; None when it is our mistake, of which the client learns
    nothing.
    """
    match error:
        case MatrixError():
            return error
        case Translated():
            return error.told
        case errors.Rejected():
            return Forbidden(str(error))
        case errors.InvalidId():
            return InvalidParam(str(error))
        case errors.UnsupportedRoomVersion():
            return UnsupportedRoomVersion(str(error))
        case errors.Oversized():
            return TooLarge(str(error))
        case errors.NotJson():
            return NotJson(str(error))
        case errors.ProtocolError():
            return BadJson(str(error))
        case web.RequestPayloadError():
            return Unknown("The request's body is garbled")
        case _:
            return None


def internal_error() -> MatrixError:
    """What a client is told when the server has failed."""
    return Unknown("Internal server error", status=500)
