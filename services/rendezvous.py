"""Mailboxes for logging in by QR code (MSC4108, MSC4388): two devices that know an ID pass each other sealed notes.

They lie in the database, so that any process can serve either device; in a table that is not logged, since they live for
two minutes.
"""

from __future__ import annotations

from dataclasses import replace

from protocol.matrix_error import LimitExceeded, NotFound, TooLarge, Unrecognized
from services.settings import MINUTE, SECOND
from services.tenant import Tenant
from storage.rendezvous import Mailbox as Mailbox
from storage.rendezvous import (
    delete_expired_mailboxes,
    delete_mailbox,
    get_mailbox,
    insert_mailbox,
    replace_content,
)

MAX_CONTENT = 4096  # bytes
MOST = 1000  # at one time
LIFETIME = 2 * MINUTE
TRY_AGAIN = 10 * SECOND
_LENGTH = 32


class Changed(Exception):
    """The other device has written meanwhile; `now` is what it says."""

    def __init__(self, now: Mailbox) -> None:
        super().__init__("The content has changed")
        self.now = now


async def open_mailbox(tenant: Tenant, content: bytes, content_type: str) -> Mailbox:
    """A new one; raises Unrecognized without OAuth, TooLarge, or LimitExceeded where there are too many."""
    if not tenant.settings.oauth.enabled:
        raise Unrecognized("There is no login by QR code here")
    _check(content)
    now = tenant.clock.now()
    id, version = tenant.random.token(_LENGTH), tenant.random.token(_LENGTH)
    box = Mailbox(id, content, content_type, version, now, now + LIFETIME)
    async with tenant.database.read() as tx:
        if not await insert_mailbox(tx, box, MOST):
            await delete_expired_mailboxes(tx, now)
            raise LimitExceeded(TRY_AGAIN)
    return box


async def look_into(tenant: Tenant, id: str) -> Mailbox:
    """The mailbox as it is now; raises NotFound when it is not there any more."""
    async with tenant.database.read() as tx:
        box = await get_mailbox(tx, id, tenant.clock.now())
    if box is None:
        raise NotFound("There is no such rendezvous session, or its time is over")
    return box


async def put_into(tenant: Tenant, id: str, content: bytes, content_type: str, instead_of: str) -> Mailbox:
    """The mailbox with the new content; raises NotFound, TooLarge, or Changed unless the writer has seen the last version."""
    _check(content)
    seen = await look_into(tenant, id)
    now = tenant.clock.now()
    version = tenant.random.token(_LENGTH)
    box = replace(seen, content=content, content_type=content_type, version=version, modified=now)
    async with tenant.database.read() as tx:
        if await replace_content(tx, box, instead_of):
            return box
    raise Changed(await look_into(tenant, id))


async def throw_away(tenant: Tenant, id: str) -> None:
    """It is gone; raises NotFound when it was not there."""
    async with tenant.database.read() as tx:
        if not await delete_mailbox(tx, id, tenant.clock.now()):
            raise NotFound("There is no such rendezvous session, or its time is over")


def _check(content: bytes) -> None:
    if len(content) > MAX_CONTENT:
        raise TooLarge(f"A rendezvous session holds {MAX_CONTENT} bytes")
