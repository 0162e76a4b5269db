"""The delay that a client may ask for when it sends an event (MSC4140)."""

from client_api import ClientCall
from protocol.build import EventDraft
from protocol.events import MEMBER
from services.delayed.schedule import schedule
from services.rooms.membership.restricted import AUTHORISED_VIA
from web.reply import Json

DELAY = "org.matrix.msc4140.delay"


def delay_of(call: ClientCall) -> int | None:
    """Milliseconds; None where the event is to be sent at once."""
    return None if call.query_text(DELAY, None) is None else call.query_integer(DELAY, 0, minimum=0)


async def scheduled(call: ClientCall, draft: EventDraft, delay: int, txn_id: str | None = None) -> Json:
    """The reply with the delayed event's ID."""
    if draft.type == MEMBER:
        draft.content.pop(AUTHORISED_VIA, None)  # who vouches for a join is for servers to say
    return {"delay_id": await schedule(call.tenant, call.requester, call.room_id(), draft, delay, txn_id)}
