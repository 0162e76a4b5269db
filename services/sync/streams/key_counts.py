"""How many one-time keys the device has left with us, and which of its fallback keys have not been used."""

from __future__ import annotations

import orjson

from services.keys.upload import UPLOADED_BY_ALL
from services.sync.look import Look
from storage.keys.fallback_keys import unused_fallback_key_types
from storage.keys.one_time_keys import one_time_key_counts


async def now(look: Look) -> tuple[bytes, bytes] | None:
    """The two members of the answer, as JSON; None for a session without a device."""
    if look.device_id is None:
        return None
    known = look.listener.key_counts
    found = known.get(look.device_id) if known is not None else None
    if found is None:
        tx = await look.connection.tx()
        counts = await one_time_key_counts(tx, look.user_id, look.device_id)
        unused = await unused_fallback_key_types(tx, look.user_id, look.device_id)
        # COMPAT matrix-sdk-crypto: it uploads keys only when it is told of a count, also of 0.
        counts.setdefault(UPLOADED_BY_ALL, 0)
        found = orjson.dumps(counts), orjson.dumps(unused)
        if look.listener.generation == look.generation:
            if look.listener.key_counts is None:
                look.listener.key_counts = {}
            look.listener.key_counts[look.device_id] = found
    return found
