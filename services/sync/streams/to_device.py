"""Messages to the device: delivered until the device shows, by its next `since`, that it has them."""

from __future__ import annotations

from dataclasses import dataclass

from orjson import Fragment

from services.sync.look import Look
from storage.inbox import delete_delivered, inbox

LIMIT = 100


@dataclass(frozen=True, slots=True)
class Delivery:
    """Messages, and the position of the last of them if there are more."""

    messages: tuple[Fragment, ...] = ()
    delivered: int | None = None


async def changes(look: Look) -> Delivery:
    """What is in the device's inbox behind what it has."""
    device_id = look.device_id
    if device_id is None or not _may_have_mail(look):
        return Delivery()
    after = _acknowledged(look)
    tx = await look.connection.tx()
    rows = await inbox(tx, look.user_id, device_id, after, look.upto.position, LIMIT + 1)
    if not rows:
        return Delivery()
    look.memory.undeleted = True
    more = len(rows) > LIMIT
    return Delivery(
        tuple(Fragment(row["json"]) for row in rows[:LIMIT]), rows[LIMIT - 1]["position"] if more else None
    )


async def acknowledge(look: Look) -> None:
    """Deletes what the device has, if there may be something."""
    if look.device_id is None or look.since is None or not look.memory.undeleted:
        return
    # Before it waits: another request of the device may be sent more meanwhile.
    look.memory.undeleted = False
    try:
        async with look.tenant.database.read() as tx:
            await delete_delivered(tx, look.user_id, look.device_id, _acknowledged(look))
    except BaseException:
        look.memory.undeleted = True
        raise


def _acknowledged(look: Look) -> int:
    if look.since is None:
        return -1
    return look.since.position if look.since.to_device is None else look.since.to_device


def _may_have_mail(look: Look) -> bool:
    if look.noted is None or look.since is None or look.since.to_device is not None:
        return True
    return look.noted.to_device
