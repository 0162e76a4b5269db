"""The rules for m.room.member events, in the specification's order (rule 4; since v12 rule 5)."""

from typing import Any

from protocol.auth.case import AuthCase, domain
from protocol.auth.third_party import keys_that_signed
from protocol.errors import Rejected
from protocol.events import THIRD_PARTY_INVITE


def check_member(case: AuthCase) -> None:
    """Raise Rejected unless the membership change is allowed."""
    event, content = case.event, case.event.content
    # «If there is no state_key property, or no membership property in content, reject.»
    if event.state_key is None or "membership" not in content:
        raise Rejected("membership event without state_key or membership")
    # «If content has a join_authorised_via_users_server key: if the event is not validly signed by the
    # homeserver of the user ID denoted by the key, reject.» (since v8; that signatures are valid was checked
    # on receipt)
    if case.version.restricted_join_rule and "join_authorised_via_users_server" in content:
        via = content["join_authorised_via_users_server"]
        if not isinstance(via, str) or domain(via) not in event.json.get("signatures", {}):
            raise Rejected("not signed by the server that authorised the join")
    match content["membership"]:
        case "join":
            _check_join(case, event.state_key)
        case "invite":
            _check_invite(case, event.state_key)
        case "leave":
            _check_leave(case, event.state_key)
        case "ban":
            _check_ban(case, event.state_key)
        case "knock" if case.version.knock_join_rule:
            _check_knock(case, event.state_key)
        case _:
            # «Otherwise, the membership is unknown. Reject.»
            raise Rejected("unknown membership")


def _check_join(case: AuthCase, target: str) -> None:
    # «If the only previous event is an m.room.create and the state_key is the creator, allow.»
    if case.event.prev_events == (case.create.event_id,) and target == _first_member(case):
        return
    # «If the sender does not match state_key, reject.»
    if case.event.sender != target:
        raise Rejected("nobody can join for another")
    # «If the sender is banned, reject.»
    membership = case.membership_of(target)
    if membership == "ban":
        raise Rejected("user is banned")
    rule = case.join_rule
    # «If the join_rule is invite or knock then allow if membership state is invite or join.»
    if rule == "invite" or _is_knockable(case, rule) or _is_restricted(case, rule):
        # «If the join_rule is restricted or knock_restricted: if membership state is join or invite, allow.»
        if membership in ("join", "invite"):
            return
        if _is_restricted(case, rule):
            _check_authorised_via(case)
            return
    # «If the join_rule is public, allow.»
    if rule == "public":
        return
    # «Otherwise, reject.»
    raise Rejected("user is not invited")


def _first_member(case: AuthCase) -> object:
    if case.version.implicit_creator:
        return case.create.sender
    return case.create.content.get("creator")


def _check_authorised_via(case: AuthCase) -> None:
    # «If the join_authorised_via_users_server key in content is not a user with sufficient permission to
    # invite other users, reject. Otherwise, allow.»
    via = case.event.content.get("join_authorised_via_users_server")
    if not isinstance(via, str) or case.membership_of(via) != "join":
        raise Rejected("join is not authorised by a member")
    if case.levels.of_user(via) < case.levels.invite:
        raise Rejected("join is authorised by somebody who may not invite")


def _check_invite(case: AuthCase, target: str) -> None:
    # «If content has a third_party_invite property: ...»
    if "third_party_invite" in case.event.content:
        _check_third_party_invite(case, target)
        return
    _check_sender_joined(case)
    # «If target user's current membership state is join or ban, reject.»
    if case.membership_of(target) in ("join", "ban"):
        raise Rejected("user is joined or banned already")
    # «If the sender's power level is greater than or equal to the invite level, allow. Otherwise, reject.»
    if case.power < case.levels.invite:
        raise Rejected("sender may not invite")


def _check_third_party_invite(case: AuthCase, target: str) -> None:
    # «If target user is banned, reject.»
    if case.membership_of(target) == "ban":
        raise Rejected("user is banned")
    # «If content.third_party_invite does not have a signed property, reject.»
    invite: Any = case.event.content["third_party_invite"]
    signed = invite.get("signed") if isinstance(invite, dict) else None
    # «If signed does not have mxid and token properties, reject.»
    if not isinstance(signed, dict) or "mxid" not in signed or not isinstance(signed.get("token"), str):
        raise Rejected("third_party_invite without signed, mxid or token")
    # «If mxid does not match state_key, reject.»
    if signed["mxid"] != target:
        raise Rejected("third_party_invite is for another user")
    # «If there is no m.room.third_party_invite event in the current room state with state_key matching token,
    # reject.»
    pledge = case.state.get((THIRD_PARTY_INVITE, signed["token"]))
    if pledge is None:
        raise Rejected("there is no such third-party invite")
    # «If sender does not match sender of the m.room.third_party_invite, reject.»
    if case.event.sender != pledge.sender:
        raise Rejected("third-party invite of another sender")
    # «If any signature in signed matches any public key in the m.room.third_party_invite event, allow.»
    if not keys_that_signed(signed, pledge.content):
        raise Rejected("third_party_invite is not signed by its identity server")


def _check_leave(case: AuthCase, target: str) -> None:
    membership = case.membership_of(target)
    # «If the sender matches state_key, allow if and only if that user's current membership state is invite,
    # join, or knock.» (knock: since v7)
    if case.event.sender == target:
        if membership in ("invite", "join") or (case.version.knock_join_rule and membership == "knock"):
            return
        raise Rejected("user is not in the room")
    _check_sender_joined(case)
    # «If the target user's current membership state is ban, and the sender's power level is less than the ban
    # level, reject.»
    if membership == "ban" and case.power < case.levels.ban:
        raise Rejected("sender may not unban")
    # «If the sender's power level is greater than or equal to the kick level, and the target user's power
    # level is less than the sender's power level, allow. Otherwise, reject.»
    if case.power < case.levels.kick or not case.levels.of_user(target) < case.power:
        raise Rejected("sender may not remove this user")


def _check_ban(case: AuthCase, target: str) -> None:
    _check_sender_joined(case)
    # «If the sender's power level is greater than or equal to the ban level, and the target user's power
    # level is less than the sender's power level, allow. Otherwise, reject.»
    if case.power < case.levels.ban or not case.levels.of_user(target) < case.power:
        raise Rejected("sender may not ban this user")


def _check_knock(case: AuthCase, target: str) -> None:
    # «If the join_rule is anything other than knock or knock_restricted, reject.»
    if not _is_knockable(case, case.join_rule):
        raise Rejected("the room takes no knocks")
    # «If sender does not match state_key, reject.»
    if case.event.sender != target:
        raise Rejected("nobody can knock for another")
    # «If the sender's current membership is not ban, invite, or join, allow. Otherwise, reject.»
    if case.membership_of(target) in ("ban", "invite", "join"):
        raise Rejected("user has no reason to knock")


def _check_sender_joined(case: AuthCase) -> None:
    # «If the sender's current membership state is not join, reject.»
    if case.membership_of(case.event.sender) != "join":
        raise Rejected("sender is not joined")


def _is_restricted(case: AuthCase, rule: object) -> bool:
    return (rule == "restricted" and case.version.restricted_join_rule) or (
        rule == "knock_restricted" and case.version.knock_restricted_join_rule
    )


def _is_knockable(case: AuthCase, rule: object) -> bool:
    return (rule == "knock" and case.version.knock_join_rule) or (
        rule == "knock_restricted" and case.version.knock_restricted_join_rule
    )
