"""Making our own membership event from another server's template (protocol/templates.py says what is taken from it)."""

from __future__ import annotations

from dataclasses import replace

from protocol.build import EventDraft, build_event
from protocol.errors import InvalidEvent, InvalidId, Oversized, UnsupportedRoomVersion
from protocol.events import Event
from protocol.ids import EventID, RoomID, ServerName, UserID, server_of
from protocol.matrix_error import TooLarge
from protocol.room_versions import ROOM_VERSIONS, RoomVersion, version_named
from protocol.templates import Place, read_template
from services.ports import RemoteFailed, Template
from services.tenant import Tenant

SUPPORTED = tuple(ROOM_VERSIONS)
EVENT_ID_LENGTH = 18
_AUTHORISED_VIA = "join_authorised_via_users_server"


def event_from(
    tenant: Tenant,
    server: ServerName,
    template: Template,
    room_id: RoomID,
    user_id: UserID,
    draft: EventDraft,
) -> Event:
    """The draft as a signed event that stands where the server's template has it.

    Raises RemoteFailed where the template is not of what we asked for, InvalidEvent or TooLarge where it is the draft that
    cannot be sent.
    """
    membership = draft.content["membership"]
    try:
        version = version_named(template.room_version)
        if version.room_id_is_create_hash is (":" in room_id):
            raise InvalidEvent("a room of this version does not have such an ID")
        place = read_template(version, template.event, room_id, user_id, membership)
        _check_authoriser(server, place)
    except (InvalidEvent, UnsupportedRoomVersion) as error:
        raise RemoteFailed(server, None, None, f"a template that we do not follow: {error}") from None
    content = dict(draft.content)
    if place.authorised_via is not None:
        content[_AUTHORISED_VIA] = place.authorised_via
    try:
        return _built(tenant, version, replace(draft, content=content), room_id, user_id, place)
    except Oversized as error:
        raise TooLarge(str(error)) from None


def _built(
    tenant: Tenant, version: RoomVersion, draft: EventDraft, room_id: RoomID, user_id: UserID, place: Place
) -> Event:
    return build_event(
        version,
        draft,
        room_id=room_id,
        sender=user_id,
        prev_events=place.prev_events,
        auth_events=place.auth_events,
        depth=place.depth,
        origin_server_ts=tenant.clock.now(),
        key=tenant.signing_key,
        server_name=tenant.name,
        event_id=None if version.event_id_is_hash else chosen_id(tenant),
    )


def chosen_id(tenant: Tenant) -> EventID:
    """An event ID for room versions in which it is not computed."""
    return EventID(f"${tenant.random.token(EVENT_ID_LENGTH)}:{tenant.name}")


def _check_authoriser(server: ServerName, place: Place) -> None:
    """«An arbitrary user ID belonging to the resident server»: were it one of ours, we would vouch for ourselves."""
    try:
        if place.authorised_via is not None and server_of(place.authorised_via) != server:
            raise InvalidEvent("the join is authorised by somebody of another server")
    except InvalidId as error:
        raise InvalidEvent(str(error)) from None
