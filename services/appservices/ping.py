"""An application service asks whether it can be reached (§Pinging)."""

from __future__ import annotations

import orjson

from protocol.matrix_error import BadStatus, ConnectionFailed, ConnectionTimeout, Forbidden, UrlNotSet
from services.appservices.calls import Question, Unreachable
from services.requester import Requester
from services.tenant import Tenant
from storage import topics
from storage.journal import Change

SECONDS = 30.0
MAX_TOLD = 4096  # bytes of a bad answer that are passed on


async def ping(tenant: Tenant, requester: Requester, appservice_id: str, txn_id: str | None) -> int:
    """How many milliseconds it took to reach the application service, which is then told what waits for it.

    Raises Forbidden, UrlNotSet, BadStatus, ConnectionFailed or ConnectionTimeout.
    """
    appservice = tenant.appservices.by_id(appservice_id)
    if appservice is None or requester.appservice != appservice.id:
        raise Forbidden("The access token is not that of this application service")
    if appservice.url is None:
        raise UrlNotSet
    body = orjson.dumps({} if txn_id is None else {"transaction_id": txn_id})
    begun = tenant.clock.now()
    try:
        answer = await tenant.appservice_calls.ask(
            appservice, Question("POST", "/ping", body=body, seconds=SECONDS)
        )
    except Unreachable as error:
        raise (ConnectionTimeout if error.timed_out else ConnectionFailed)(str(error)) from None
    if not answer.is_ok:
        told = answer.body[:MAX_TOLD].decode("utf-8", "replace")
        raise BadStatus(f"It answered {answer.status}", extra={"status": answer.status, "body": told})
    took = tenant.clock.now() - begun
    await tenant.journal.append(Change((), (topics.appservice(appservice.id),)))
    return max(took, 0)
