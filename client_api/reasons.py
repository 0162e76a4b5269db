"""What membership requests have in common: a reason, often a user whom it is about, and servers to ask."""

from client_api import ClientCall
from protocol.ids import UserID, parse_user_id
from protocol.json import JsonObject


def reason_of(call: ClientCall) -> JsonObject:
    """The part of the member event's content that says why."""
    reason = call.text("reason", None)
    return {} if reason is None else {"reason": reason}


def via_of(call: ClientCall) -> list[str]:
    """Servers that may know the room; `server_name` is the name that the parameter had before v1.12."""
    return [*call.query_all("via"), *call.query_all("server_name")]


def target_of(call: ClientCall) -> UserID:
    """The user in the body; raises MissingParam, or InvalidId for what is no user ID."""
    return parse_user_id(call.text("user_id"))
