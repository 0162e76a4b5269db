"""What membership requests have in common: a reason, often a user whom it is about, and servers to ask."""

from client_api import ClientCall
from protocol.ids import UserID, parse_user_id
from protocol.json import JsonObject
from services.rooms.swept import FLAGS
from services.threepids.invite import ThirdParty
from web.body import Fields

_OURS = frozenset(
    (
        "reason",
        "third_party_signed",
        "membership",
        "displayname",
        "avatar_url",
        "is_direct",
        "third_party_invite",
    )
) | {"join_authorised_via_users_server"}
"""What a body says otherwise, or the server says of the user."""


def reason_of(call: ClientCall) -> JsonObject:
    """The part of the member event's content that says why."""
    reason = call.text("reason", None)
    return {} if reason is None else {"reason": reason}


def removal_of(call: ClientCall) -> JsonObject:
    """The reason of a kick or ban, and whether all that the user has sent goes with it (MSC4293)."""
    sweeping = {flag: True for flag in FLAGS if call.flag(flag, False)}
    return {**reason_of(call), **sweeping}


def join_content_of(call: ClientCall) -> JsonObject:
    """The reason, and what else the client wants to stand in its member event.

    COMPAT: that other members of the body come into the event has never been specified, but clients have it so.
    """
    more = {name: value for name, value in call.json_object_or_empty().items() if name not in _OURS}
    return {**more, **reason_of(call)}


def via_of(call: ClientCall) -> list[str]:
    """Servers that may know the room; `server_name` is the name that the parameter had before v1.12."""
    return [*call.query_all("via"), *call.query_all("server_name")]


def target_of(call: ClientCall) -> UserID:
    """The user in the body; raises MissingParam, or InvalidId for what is no user ID."""
    return parse_user_id(call.text("user_id"))


def third_party_of(fields: Fields) -> ThirdParty:
    """Somebody who is to be invited by an address."""
    names = ("medium", "address", "id_server", "id_access_token")
    return ThirdParty(*(fields.text(name) for name in names))
