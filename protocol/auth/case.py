"""An event together with the state that it is checked against, and the questions that the rules put to it."""

from dataclasses import dataclass

from protocol.auth.levels import Level, PowerLevels
from protocol.errors import InvalidId, Rejected
from protocol.events import JOIN_RULES, MEMBER, POWER_LEVELS, Event, StateMap
from protocol.ids import ServerName, server_of
from protocol.room_versions import RoomVersion


@dataclass(frozen=True, slots=True, eq=False)
class AuthCase:
    """What an authorisation rule decides upon."""

    version: RoomVersion
    event: Event
    state: StateMap
    create: Event
    levels: PowerLevels

    @classmethod
    def of(cls, version: RoomVersion, event: Event, state: StateMap, create: Event) -> "AuthCase":
        """The event against this state, in the room of this create event."""
        levels = PowerLevels.of(version, create, state.get((POWER_LEVELS, "")))
        return cls(version, event, state, create, levels)

    def membership_of(self, user: str) -> str:
        """The user's membership in the state; `leave` where there is none."""
        member = self.state.get((MEMBER, user))
        return (member.membership if member else None) or "leave"

    @property
    def power(self) -> Level:
        """The power level of the event's sender."""
        return self.levels.of_user(self.event.sender)

    @property
    def join_rule(self) -> object:
        """The join rule in the state; `invite` where there is none."""
        rules = self.state.get((JOIN_RULES, ""))
        return rules.content.get("join_rule", "invite") if rules else "invite"


def domain(identifier: str) -> ServerName:
    """The server that the ID names; raises Rejected if it names none."""
    try:
        return server_of(identifier)
    except InvalidId as e:
        raise Rejected(str(e)) from e
