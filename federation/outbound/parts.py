"""A transaction that a server refuses again and again: it is delivered in parts, without what it cannot be told at all."""

from __future__ import annotations

from dataclasses import replace

import orjson

from federation.outbound.destination import Transaction
from federation.outbound.observations import NotTaken
from protocol.ids import EventID, ServerName
from services.ports import RemoteFailed
from services.tenant import Tenant

ENOUGH_REFUSALS = 4  # of one server, without its having taken anything in between

_REFUSALS = range(400, 500)
# Who we are, whether we may at all, and how often: that is not about what is in the transaction.
_OF_ANOTHER_KIND = frozenset((401, 403, 429))


def is_refusal(failed: RemoteFailed) -> bool:
    """May it be that the server would have taken something else?"""
    return failed.status in _REFUSALS and failed.status not in _OF_ANOTHER_KIND


async def deliver_in_parts(
    tenant: Tenant, server: ServerName, whole: Transaction
) -> dict[EventID, str | None]:
    """What the server said of each event of the transaction, of which it has all now that it takes.

    Raises RemoteFailed where it takes nothing at all: then nothing is given up.
    """
    # A server that refuses even this is not offended by what we tell it.
    await tenant.remotes.send_transaction(server, tenant.random.token(16), (), ())
    said: dict[EventID, str | None] = {}
    todo = [whole]
    while todo:
        part = todo.pop()
        try:
            said |= await tenant.remotes.send_transaction(server, part.txn_id, part.pdus, part.edus)
        except RemoteFailed as failed:
            if not is_refusal(failed):
                raise
            if _length(part) > 1:
                todo += reversed(_halves(part))
            else:
                tenant.observe(NotTaken(server, _kind(part), failed.message))
    return said


def _length(part: Transaction) -> int:
    return len(part.pdus) + len(part.edus)


def _halves(part: Transaction) -> tuple[Transaction, Transaction]:
    middle = (_length(part) + 1) // 2
    of_edus = max(0, middle - len(part.pdus))
    return (
        replace(part, txn_id=f"{part.txn_id}a", pdus=part.pdus[:middle], edus=part.edus[:of_edus]),
        replace(part, txn_id=f"{part.txn_id}b", pdus=part.pdus[middle:], edus=part.edus[of_edus:]),
    )


def _kind(part: Transaction) -> str:
    """What is in a part of one."""
    if part.edus:
        return str(part.edus[0].get("edu_type"))
    return str(orjson.loads(part.pdus[0]).get("type"))
