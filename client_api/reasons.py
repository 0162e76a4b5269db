"""What the bodies of all membership requests have in common: a reason, and often a user whom it is about."""

from client_api import ClientCall
from protocol.ids import UserID, parse_user_id
from protocol.json import JsonObject


def reason_of(call: ClientCall) -> JsonObject:
    """The part of the member event's content that says why."""
    reason = call.text("reason", None)
    return {} if reason is None else {"reason": reason}


def target_of(call: ClientCall) -> UserID:
    """The user in the body; raises MissingParam, or InvalidId for what is no user ID."""
    return parse_user_id(call.text("user_id"))
