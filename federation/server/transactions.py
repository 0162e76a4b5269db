"""Transactions: what another server sends us, at most fifty events and a hundred other news at a time (§Transactions)."""

from __future__ import annotations

from typing import Any

import orjson

from federation import ServerCall
from federation.inbound.edus import receive_edus
from protocol.ids import ServerName
from protocol.matrix_error import BadJson, Forbidden, InvalidParam
from services.rooms.receive.transaction import answer_before, receive_pdus, remember_answer
from services.tenant import Tenant
from web.call import MAX_TXN_ID
from web.endpoint import Auth, endpoint
from web.reply import JSON_TYPE, Reply

MAX_PDUS = 50
MAX_EDUS = 100
MAX_BODY = 16 * 1024 * 1024
"""Bytes: fifty events as large as they may be, the other news, and what JSON makes of characters."""
KEPT = 60_000
"""Milliseconds for which an answer is kept in memory; in the database it is kept for days."""


@endpoint("PUT", "/_matrix/federation/v1/send/{txnId}", auth=Auth.SERVER, max_body=MAX_BODY)
async def send_transaction(call: ServerCall) -> Reply:
    """Takes over what is sent; a transaction that was answered before is answered the same."""
    tenant, origin, txn_id = call.tenant, call.requester.server_name, call.path["txnId"]
    if len(txn_id) > MAX_TXN_ID or "\0" in txn_id:
        raise InvalidParam("The transaction ID is too long")
    body = call.json_object()
    if body.get("origin", origin) != origin:
        raise Forbidden("The transaction is of another server")
    pdus, edus = _list(body, "pdus", MAX_PDUS), _list(body, "edus", MAX_EDUS)
    answer = await tenant.transactions.ask(
        (origin, txn_id),
        lambda: _work_off(tenant, origin, txn_id, pdus, edus),
        tenant.clock.now(),
        lambda _: KEPT,
    )
    return Reply(body=answer, content_type=JSON_TYPE)


async def _work_off(
    tenant: Tenant, origin: ServerName, txn_id: str, pdus: list[Any], edus: list[Any]
) -> bytes:
    before = await answer_before(tenant, origin, txn_id)
    if before is not None:
        return before
    outcomes = await receive_pdus(tenant, origin, pdus)
    # Behind the events: a receipt may be for one of them.
    await receive_edus(tenant, origin, edus)
    answer = orjson.dumps(
        {
            "pdus": {
                event_id: {} if error is None else {"error": error} for event_id, error in outcomes.items()
            }
        }
    )
    await remember_answer(tenant, origin, txn_id, answer)
    return answer


def _list(body: dict[str, Any], name: str, most: int) -> list[Any]:
    items = body.get(name, [])
    if not isinstance(items, list):
        raise BadJson(f"{name} must be a list")
    if len(items) > most:
        raise InvalidParam(f"A transaction has at most {most} {name}")
    return items
