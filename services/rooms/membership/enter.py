"""Entering a room through a server that is in it (§Joining Rooms): its template, our join, and the room that it shows us."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from protocol.build import EventDraft
from protocol.entered_room import EnteredRoom, enter_room
from protocol.errors import Rejected
from protocol.events import MEMBER, Event
from protocol.ids import EventID, RoomID, ServerName, server_of
from protocol.json import JsonObject, canonical_lenient
from protocol.matrix_error import GuestAccessForbidden, Unknown
from services.ports import Joined, RemoteFailed
from services.requester import Requester
from services.rooms.membership.bring_along import bring_along
from services.rooms.membership.candidates import first_answer
from services.rooms.membership.first_part import FirstPart, first_part
from services.rooms.membership.from_template import SUPPORTED, event_from
from services.rooms.membership.left_before import leave_again
from services.rooms.membership.observations import EventsLeftOut
from services.rooms.membership.profile import filled_in
from services.rooms.membership.restricted import AUTHORISED_VIA
from services.rooms.membership.whole import until_whole
from services.rooms.receive.check import checked_pdus
from services.rooms.receive.gaps import receive_with_what_it_needs
from services.rooms.receive.place_room import Entered, Partial, place_room
from services.rooms.serving.auth_chain import auth_chain_ids
from services.tenant import Tenant
from storage.events import Standing, events_by_id
from storage.servers.handshakes import residence
from storage.servers.partial_rooms import join_of_partial, number_of_members


async def enter(
    tenant: Tenant, requester: Requester, room_id: RoomID, content: JsonObject, servers: Sequence[ServerName]
) -> bool:
    """Returns when we are in the room with the requester joined; False when another of our users was faster, so that the
    requester can join here. Raises what the client is told when none of the servers lets us in.
    """
    if requester.is_guest:  # whether the room takes guests would be known only when it is too late
        raise GuestAccessForbidden
    draft = await _draft(tenant, requester, content)
    async with tenant.entering.alone(room_id):
        async with tenant.database.read() as tx:
            if (await residence(tx, room_id)).is_resident:
                return False
        create = await first_answer(
            servers, lambda server: _enter_through(tenant, server, requester, room_id, draft)
        )
    await bring_along(tenant, requester.user_id, room_id, create)
    return True


async def join_elsewhere(
    tenant: Tenant, requester: Requester, room_id: RoomID, content: JsonObject, servers: Sequence[ServerName]
) -> None:
    """Joins a room that we are in, but whose conditions only another server can vouch for. Raises as `enter`."""
    draft = await _draft(tenant, requester, content)

    async def ask(server: ServerName) -> tuple[ServerName, Event]:
        join, _ = await _handed_in(tenant, server, requester, room_id, draft)
        return server, join

    server, join = await first_answer(servers, ask)
    await _follow(tenant, join, server)


async def _follow(tenant: Tenant, join: Event, server: ServerName) -> None:
    """Takes a join of ours, which is in the room on that server, into the room as it is here."""
    if not await _follows_on_what_is_new(tenant, join):
        await until_whole(tenant, join.room_id)
    placed = await receive_with_what_it_needs(tenant, join, server)
    if placed is None or placed.standing > Standing.HISTORY:
        raise Unknown(f"{server} has let you in, but this server cannot follow yet: try again", status=502)


async def _follows_on_what_is_new(tenant: Tenant, join: Event) -> bool:
    """Does the join follow on nothing but what has come into the room since we are in it? Then its state is as much as we know
    of the room, and becomes whole with it."""
    async with tenant.database.read() as tx:
        entered = await join_of_partial(tx, join.room_id)
        found = await events_by_id(tx, [*join.prev_events, *([entered] if entered is not None else [])])
    if entered is None or not found.keys() >= set(join.prev_events):
        return False
    return all(
        found[prev].standing is Standing.TIMELINE and found[prev].position >= found[entered].position
        for prev in join.prev_events
    )


async def _draft(tenant: Tenant, requester: Requester, content: JsonObject) -> EventDraft:
    return await filled_in(tenant, EventDraft(MEMBER, {**content, "membership": "join"}, requester.user_id))


async def _enter_through(
    tenant: Tenant, server: ServerName, requester: Requester, room_id: RoomID, draft: EventDraft
) -> Event:
    """The room's create event, once the room is here."""
    join, joined = await _handed_in(tenant, server, requester, room_id, draft)
    room = await _entered(tenant, server, join, joined)
    if joined.members_omitted:
        first = FirstPart(tuple(room.state.values()), room.auth_chain, tuple(joined.servers_in_room))
    else:
        async with tenant.database.read() as tx:
            known = await number_of_members(tx, room_id)
        first = first_part(room, join, known)
    partial = Partial(server, first.servers) if first.servers is not None else None
    if partial is not None and not joined.members_omitted:
        state = {key: event.event_id for key, event in room.state.items()}
        tenant.partial_rooms.show(room_id, join.event_id, state)
    try:
        await place_room(tenant, join.version, room.create, first.state, first.others, join, partial)
    except Entered:  # another process was faster: our join is one more event of the room
        await _follow(tenant, join, server)
        return room.create
    if partial is not None:
        tenant.partial_rooms.work.set()
    else:
        await leave_again(tenant, room_id)
    return room.create


async def _handed_in(
    tenant: Tenant, server: ServerName, requester: Requester, room_id: RoomID, draft: EventDraft
) -> tuple[Event, Joined]:
    """Our join, signed by all who must sign it, and what the server answered to it."""
    template = await tenant.remotes.make_join(server, room_id, requester.user_id, SUPPORTED)
    join = event_from(tenant, server, template, room_id, requester.user_id, draft)
    joined = await tenant.remotes.send_join(server, room_id, join, omit_members=True)
    return await _signed_by_all(tenant, server, join, joined.event), joined


async def _signed_by_all(
    tenant: Tenant, server: ServerName, join: Event, returned: JsonObject | None
) -> Event:
    """Our join with the signature of the server that vouches for it. Of what came back only that signature is looked at."""
    via = join.content.get(AUTHORISED_VIA)
    if via is None:
        return join
    voucher = server_of(via)
    signatures = returned.get("signatures") if returned is not None else None
    signature = signatures.get(voucher) if isinstance(signatures, dict) else None
    signed = {**join.json, "signatures": {**join.json["signatures"], voucher: signature}}
    checked = await checked_pdus(tenant, join.version, [signed])
    if not checked.events:
        raise RemoteFailed(server, None, None, "it did not sign the join that it authorised")
    return checked.events[0]


async def _entered(tenant: Tenant, server: ServerName, join: Event, joined: Joined) -> EnteredRoom:
    """The room as far as it was shown to us and is allowed. Raises RemoteFailed where that is not the room we asked for."""
    more = await tenant.compute.run(_not_in, joined.state, joined.auth_chain)
    state = await checked_pdus(tenant, join.version, joined.state)
    chain = await checked_pdus(tenant, join.version, more)
    known: list[Event] = []
    if joined.members_omitted:
        known = await _known_before(tenant, join, {e.event_id for e in (*state.events, *chain.events)})
    rests_on = [*chain.events, *known]
    try:
        room = await tenant.compute.run(_enter_room, join, state.events, rests_on, joined.members_omitted)
    except Rejected as error:
        raise RemoteFailed(server, None, None, f"not the room that we asked for: {error}") from None
    left_out = [*state.dropped, *chain.dropped, *room.refused]
    if left_out:
        tenant.observe(EventsLeftOut(join.room_id, server, len(left_out), left_out[0][1]))
    return room


async def _known_before(tenant: Tenant, join: Event, shown: Collection[EventID]) -> list[Event]:
    """What our join rests on without having been shown, and is here: of one who comes back the leave is a member's event, and
    may have been omitted."""
    missing = [event_id for event_id in join.auth_events if event_id not in shown]
    if not missing:
        return []
    async with tenant.database.read() as tx:
        chain = await auth_chain_ids(tx, join.version, join.room_id, missing)
        found = await events_by_id(tx, (chain | set(missing)) - set(shown))
    return [stored.event for stored in found.values() if stored.standing is not Standing.REJECTED]


def _enter_room(
    join: Event, state: Sequence[Event], auth_chain: Sequence[Event], is_partial: bool
) -> EnteredRoom:
    return enter_room(join.version, join.room_id, state, auth_chain, join, is_partial=is_partial)


def _not_in(state: Sequence[JsonObject], auth_chain: Sequence[JsonObject]) -> list[JsonObject]:
    in_state = {_bytes(pdu) for pdu in state}
    return [pdu for pdu in auth_chain if _bytes(pdu) not in in_state]


def _bytes(pdu: JsonObject) -> bytes:
    return canonical_lenient(pdu)
