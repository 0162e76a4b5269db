"""Events, and random ones, for the tests of push rules and filters."""

from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

ALICE, BOB, CAROL = "@alice:one.example", "@bob:one.example", "@carol:two.example"
ROOM, OTHER_ROOM = "!room:one.example", "!other:one.example"

TYPES = (
    "m.room.message",
    "M.Room.Message",
    "m.room.encrypted",
    "m.room.member",
    "m.room.tombstone",
    "m.room.server_acl",
    "m.room.topic",
    "m.reaction",
    "m.call.invite",
    "m.sticker",
    "org.matrix.msc3381.poll.start",
    "org.matrix.msc3381.poll.response",
    "org.matrix.msc3381.poll.end",
    "m.room.redaction",
)


@dataclass(frozen=True, slots=True)
class Happening:
    """As much of an event as push rules and filters look at."""

    type: str = "m.room.message"
    content: dict[str, Any] = field(default_factory=lambda: {"msgtype": "m.text", "body": "hello"})
    state_key: str | None = None
    sender: str = BOB
    room_id: str = ROOM
    event_id: str = "$event"
    origin_server_ts: int = 1


def said(body: str, **content: Any) -> Happening:
    """A message by Bob."""
    return Happening(content={"msgtype": "m.text", "body": body, **content})


users = st.sampled_from([ALICE, BOB, CAROL])
rooms = st.sampled_from([ROOM, OTHER_ROOM])
scalars = st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from(["", "x", ALICE, BOB])
json_values = st.recursive(
    scalars | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)

mentions = st.fixed_dictionaries(
    {},
    optional={
        "user_ids": st.lists(users | json_values, max_size=3) | json_values,
        "room": st.booleans() | json_values,
    },
)
relations = st.fixed_dictionaries(
    {"rel_type": st.sampled_from(["m.replace", "m.thread", "M.REPLACE"]), "event_id": st.just("$other")}
)
contents = st.fixed_dictionaries(
    {},
    optional={
        "body": st.sampled_from(["hello", "hello Alice, cake?", "cakes"]) | json_values,
        "msgtype": st.sampled_from(["m.text", "m.notice", "M.Notice", "m.emote"]) | json_values,
        "membership": st.sampled_from(["invite", "join", "leave", "Invite"]) | json_values,
        "m.mentions": mentions | json_values,
        "m.relates_to": relations | json_values,
    },
)
events = st.builds(
    Happening,
    type=st.sampled_from(TYPES),
    content=contents,
    state_key=st.sampled_from([None, None, "", ALICE, BOB]),
    sender=users,
    room_id=rooms,
)
