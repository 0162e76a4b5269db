"""Whatever strangers send: nothing but our own errors is raised."""

import contextlib
from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from protocol.auth.needed import state_needed_for
from protocol.auth.rules import check_auth, check_auth_events
from protocol.errors import ProtocolError
from protocol.event_format import parse_pdu
from protocol.events import Event
from protocol.hashes import has_good_content_hash
from protocol.ids import parse_event_id, parse_room_alias, parse_room_id, parse_server_name, parse_user_id
from protocol.json import parse, parse_exact
from protocol.redaction import redact, redact_event
from protocol.room_versions import ROOM_VERSIONS, RoomVersion
from protocol.server_acl import ServerAcl
from protocol.signing import check_event_signatures, read_key_file, verify_json
from protocol.state_res import resolve
from protocol.visibility import Circumstances, may_see_event
from tests.protocol.rooms import ALICE, BOB, CAROL, Room, key_of
from tests.protocol.strategies import any_json, json_of, old_json, strange_text, text

versions = st.sampled_from(list(ROOM_VERSIONS.values()))
KEYS = {"ed25519:test": key_of("one").verify_key}

TYPES = (
    "create",
    "member",
    "power_levels",
    "join_rules",
    "third_party_invite",
    "history_visibility",
    "redaction",
    "aliases",
    "message",
)
users = st.sampled_from((ALICE, BOB, CAROL, "@nobody", "", "@:"))
words = st.sampled_from(
    ("join", "invite", "leave", "ban", "knock", "public", "restricted", "knock_restricted", "12", "")
)
scalars = users | words | text | st.integers(-3, 101) | st.none() | st.booleans() | st.floats(-2, 101)
names = st.sampled_from(
    ("membership", "join_rule", "creator", "additional_creators", "m.federate", "room_version", "users", "events",
     "notifications", "ban", "kick", "redact", "invite", "users_default", "state_default", "events_default",
     "third_party_invite", "signed", "token", "mxid", "signatures", "public_key", "public_keys", "redacts",
     "join_authorised_via_users_server", "history_visibility", ALICE, BOB, "m.room.name")
)  # fmt: skip
contents = st.dictionaries(names, json_of(scalars, names | text), max_size=6)


def survives(function: Callable[..., Any], *arguments: Any) -> Any:
    """What the function returns; None if it raises an error of ours."""
    with contextlib.suppress(ProtocolError):
        return function(*arguments)
    return None


@given(st.binary(max_size=60))
def test_bytes(data: bytes) -> None:
    for read in (parse, parse_exact):
        survives(read, data)
    survives(read_key_file, data.decode("utf-8", "replace"))


@given(strange_text | text)
def test_identifiers(identifier: str) -> None:
    for sigil in ("", "@", "#", "!", "$"):
        for read in (parse_user_id, parse_room_alias, parse_room_id, parse_event_id, parse_server_name):
            survives(read, sigil + identifier)


@given(any_json, versions)
def test_any_json(value: Any, version: RoomVersion) -> None:
    survives(parse_pdu, value, version)
    if isinstance(value, dict):
        survives(redact, value, version)
        survives(verify_json, value, "one", KEYS)
        ServerAcl.of(value).allows("one")


def _fields(version: RoomVersion) -> dict[str, Any]:
    return Room.opened(version).says(ALICE, "hello").json


FIELDS = {version.id: _fields(version) for version in ROOM_VERSIONS.values()}


@given(versions, st.dictionaries(st.sampled_from([*sorted(FIELDS["1"]), "state_key", "redacts", "unsigned"]),
                                 any_json | old_json, max_size=3))  # fmt: skip
def test_events_with_some_fields_wrong(version: RoomVersion, wrong: dict[str, Any]) -> None:
    event = survives(parse_pdu, {**FIELDS[version.id], **wrong}, version)
    if event:
        survives(check_event_signatures, event, {"one": KEYS})
        survives(has_good_content_hash, event)
        survives(redact_event, event)


strange_events = st.tuples(users, st.sampled_from(TYPES), contents, st.none() | st.just("") | users | text)


def _append(
    room: Room, parts: tuple[str, str, dict[str, Any], str | None], names_auth_events: bool
) -> Event | None:
    """Such an event on top of the room, allowed or not, if it is one at all."""
    sender, event_type, content, state_key = parts
    event_type = f"m.room.{event_type}"
    needed = state_needed_for(room.version, event_type, sender, state_key, content)
    named = [room.state[key] for key in sorted(needed, key=str) if key in room.state and names_auth_events]
    ids = [event.event_id for event in named if not (room.version.creator_power and event is room.create)]
    pairs = room.version.event_id_names_server
    ts = next(room.clock)
    json = {
        **FIELDS[room.version.id],
        "event_id": f"${ts}:one",
        "room_id": room.room_id,
        "type": event_type,
        "sender": sender,
        "content": content,
        "origin_server_ts": ts,
        "auth_events": [[event_id, {}] for event_id in ids] if pairs else ids,
        **({"state_key": state_key} if state_key is not None else {}),
    }
    event = survives(parse_pdu, json, room.version)
    return room.append(event) if isinstance(event, Event) else None


@given(versions, st.lists(strange_events, max_size=6), st.lists(strange_events, max_size=6), st.booleans())
def test_rooms_of_strange_events(
    version: RoomVersion, left: list[Any], right: list[Any], named: bool
) -> None:
    branches = [room := Room.opened(version, BOB), room.fork()]
    for branch, events in zip(branches, (left, right), strict=True):
        for parts in events:
            event = _append(branch, parts, named)
            if event is None:
                continue
            survives(check_auth, version, event, branch.state)
            survives(check_auth_events, version, event, [branch.events[e] for e in event.auth_events], ())
            may_see_event(event, ALICE, Circumstances(None, None), joined_since=False)
            assert event.redacts is None or isinstance(event.redacts, str)
    resolve(version, [branch.state_ids for branch in branches], room.events)
