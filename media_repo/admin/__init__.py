"""What administrators and their tools ask for about files."""

from media_repo import ClientCall
from protocol.matrix_error import Forbidden


def only_administrators(call: ClientCall) -> None:
    """Raises Forbidden for everybody else."""
    if not call.requester.is_admin:
        raise Forbidden("You are not an administrator of this server")
