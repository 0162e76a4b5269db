"""Device lists: whose devices have changed, or are of interest for the first time, and whose are not any more."""

from __future__ import annotations

from services.sync.look import Look
from storage.keys.device_lists import device_list_changes


async def changes(look: Look) -> dict[str, list[str]] | None:
    """`changed` and `left`; None where there is neither, and for a first sync, which knows nobody's devices."""
    if look.since is None or (look.noted is not None and not look.noted.device_lists):
        return None
    tx = await look.connection.tx()
    changed, left = await device_list_changes(tx, look.user_id, look.after, look.upto.position)
    return {"changed": changed, "left": left} if changed or left else None
