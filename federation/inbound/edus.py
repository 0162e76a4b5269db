"""EDUs: news that are no events, each handed to those whom it concerns (§EDUs)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from protocol.errors import NotCanonical, ProtocolError
from protocol.ids import ServerName
from protocol.json import JsonObject, canonical_lenient, check_canonical, parse
from protocol.matrix_error import MatrixError
from services.keys.remote_devices import apply_device_list_update, apply_signing_key_update
from services.servers.news import tell_presence, tell_receipts, tell_typing
from services.servers.observations import EduRefused
from services.tenant import Tenant
from services.to_device import receive_direct_to_device

_ILL = 500  # from here on it is us who are at fault: the origin is to send all of it again

Receive = Callable[[Tenant, ServerName, JsonObject], Awaitable[None]]

RECEIVERS: Final[Mapping[str, Receive]] = MappingProxyType(
    {
        "m.typing": tell_typing,
        "m.receipt": tell_receipts,
        "m.presence": tell_presence,
        "m.device_list_update": apply_device_list_update,
        "m.signing_key_update": apply_signing_key_update,
        "org.matrix.signing_key_update": apply_signing_key_update,  # COMPAT Synapse, before v1.1
        "m.direct_to_device": receive_direct_to_device,
    }
)


async def receive_edus(tenant: Tenant, origin: ServerName, edus: Sequence[object]) -> None:
    """Hands on the EDUs, one after the other; those that nobody knows, and broken ones, are passed over.

    Raises only what makes it right to send them again.
    """
    for edu in edus:
        if not isinstance(edu, dict):
            continue
        edu_type, content = edu.get("edu_type"), edu.get("content")
        receive = RECEIVERS.get(edu_type) if isinstance(edu_type, str) else None
        if receive is None or not isinstance(content, dict):
            continue
        try:
            await receive(tenant, origin, _without_huge_numbers(content))
        except (MatrixError, ProtocolError) as error:
            if isinstance(error, MatrixError) and error.status >= _ILL:
                raise
            tenant.observe(EduRefused(origin, str(edu_type), str(error)))


def _without_huge_numbers(content: JsonObject) -> JsonObject:
    """Transactions are read to the last digit, for the events in them; what is no event is written down as other JSON."""
    try:
        check_canonical(content)
    except NotCanonical:
        read: JsonObject = parse(canonical_lenient(content))
        return read
    return content
