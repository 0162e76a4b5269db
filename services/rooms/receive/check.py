"""The first three checks on receipt of a PDU: its format, its signatures, its content hash.

They need no room: nothing is looked up but keys. A bad PDU costs only itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from protocol.errors import BadSignature, InvalidId, ProtocolError
from protocol.event_format import parse_pdu
from protocol.events import Event
from protocol.hashes import event_id, has_good_content_hash
from protocol.ids import EventID, ServerName, fits, parse_server_name
from protocol.redaction import redact_event
from protocol.room_versions import RoomVersion
from protocol.signing import check_event_signatures, required_signers
from services.ports import VerifyKeys
from services.tenant import Tenant

MAX_SIGNATURES = 10  # of one server on one event: keys that are looked for
_PORTION = 200  # events that are checked in one go elsewhere


@dataclass(frozen=True, slots=True)
class Checked:
    """The events that passed, in their order, and what was dropped: its ID, where it has one, and why."""

    events: list[Event]
    dropped: list[tuple[EventID | None, str]]


async def checked_pdus(
    tenant: Tenant, version: RoomVersion, pdus: Sequence[object], *, from_backfill: bool = False
) -> Checked:
    """What of the PDUs, all of rooms of this version, may be looked at further.

    An event whose content is not what its hash says is there in its redacted form. Keys that we do not have are fetched,
    those of one server together; an event whose keys cannot be had is dropped. The number of PDUs is for the caller to
    bound.
    """
    checked = Checked([], [])
    parsed: list[Event] = []
    for some in _portions(pdus):
        parsed += _sort(checked, await tenant.compute.run(_parse, version, some, from_backfill))
    keys = await _keys(tenant, parsed)
    for some_events in _portions(parsed):
        checked.events.extend(_sort(checked, await tenant.compute.run(_verify, some_events, keys)))
    return checked


_Outcome = Event | tuple[EventID | None, str]


def _sort(checked: Checked, outcomes: Iterable[_Outcome]) -> Iterator[Event]:
    for outcome in outcomes:
        if isinstance(outcome, Event):
            yield outcome
        else:
            checked.dropped.append(outcome)


def _portions(items: Sequence[object]) -> Iterator[Sequence[object]]:
    for start in range(0, len(items), _PORTION):
        yield items[start : start + _PORTION]


def _parse(version: RoomVersion, pdus: Sequence[object], from_backfill: bool) -> list[_Outcome]:
    outcomes: list[_Outcome] = []
    for pdu in pdus:
        try:
            event = parse_pdu(pdu, version, from_backfill=from_backfill)
            for server in required_signers(event):
                parse_server_name(server)
            outcomes.append(event)
        except ProtocolError as error:
            outcomes.append((_id_of(pdu, version), str(error)))
    return outcomes


def _id_of(pdu: object, version: RoomVersion) -> EventID | None:
    """The ID of a broken event, where it has one."""
    try:
        found = event_id(pdu, version) if isinstance(pdu, dict) else None
    except (ProtocolError, KeyError):
        return None
    return found if isinstance(found, str) and fits(found) else None


async def _keys(tenant: Tenant, events: Sequence[Event]) -> VerifyKeys:
    """The keys that the required signatures say they were made with; ours we know ourselves."""
    are_few = len(events) <= _PORTION
    wanted = _wanted(events) if are_few else await tenant.compute.run(_wanted, events)
    ours = wanted.pop(tenant.name, None)
    keys = dict(await tenant.remotes.verify_keys(wanted)) if wanted else {}
    if ours is not None:
        keys[tenant.name] = {key.name: key for key in (*tenant.old_keys, tenant.signing_key.verify_key)}
    return keys


def _wanted(events: Iterable[Event]) -> dict[ServerName, dict[str, int]]:
    wanted: dict[ServerName, dict[str, int]] = {}
    for event in events:
        for server in required_signers(event):
            for name in list(_signatures(event, server))[:MAX_SIGNATURES]:
                until = event.origin_server_ts if event.version.enforce_key_validity else 0
                names = wanted.setdefault(server, {})
                names[name] = max(names.get(name, 0), until)
    return wanted


def _signatures(event: Event, server: ServerName) -> Iterable[str]:
    by_server = event.json["signatures"].get(server)
    return by_server if isinstance(by_server, dict) else ()


def _verify(events: Sequence[Event], keys: VerifyKeys) -> list[_Outcome]:
    outcomes: list[_Outcome] = []
    for event in events:
        try:
            check_event_signatures(event, keys)
            # «If [the content hash] does not match, the event must be redacted before being processed further.»
            outcomes.append(event if has_good_content_hash(event) else redact_event(event))
        except (BadSignature, InvalidId) as error:
            outcomes.append((event.event_id, str(error)))
    return outcomes
