"""Who may see an event: history visibility (§Room History Visibility)."""

from dataclasses import dataclass

from protocol.events import HISTORY_VISIBILITY, MEMBER, Event

_KNOWN = frozenset(("world_readable", "shared", "invited", "joined"))
_DEFAULT = "shared"


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What the state BEFORE an event says about a reader: None where there is no such state event."""

    visibility: str | None
    membership: str | None


def may_see(visibility: object, membership: str | None, joined_since: bool) -> bool:
    """May a user of this membership at the event see it? `joined_since`: was joined at any time after it."""
    # «By default if no history_visibility is set, or if the value is not understood, the visibility is
    # assumed to be shared.»
    rule = visibility if isinstance(visibility, str) and visibility in _KNOWN else _DEFAULT
    # «If the history_visibility was set to world_readable, allow.»
    if rule == "world_readable":
        return True
    # «If the user's membership was join, allow.»
    if membership == "join":
        return True
    # «If history_visibility was set to shared, and the user joined the room at any point after the event was
    # sent, allow.»
    if rule == "shared" and joined_since:
        return True
    # «If the user's membership was invite, and the history_visibility was set to invited, allow. Otherwise,
    # deny.»
    return rule == "invited" and membership == "invite"


def may_see_event(event: Event, reader: str, before: Circumstances, joined_since: bool) -> bool:
    """May the reader see the event, given the state before it?

    An event that changes visibility, or the reader's own membership, is seen if the state before it or that
    after it allows.
    """
    if may_see(before.visibility, before.membership, joined_since):
        return True
    if event.key == (HISTORY_VISIBILITY, "") and event.is_state:
        return may_see(event.content.get("history_visibility"), before.membership, joined_since)
    if event.key == (MEMBER, reader):
        return may_see(before.visibility, event.membership, joined_since)
    return False
