"""The extension of sliding sync that tells of thread subscriptions (MSC4308)."""

from __future__ import annotations

from services.sync.look import Look
from services.sync.token import Token
from services.thread_subscriptions import Page, as_json, page
from storage.thread_subscriptions import subscription_changes


async def subscriptions(look: Look, limit: int, *, is_new: bool) -> dict[str, object]:
    """What has changed since the connection's last look, the newest first; to one that knows nothing: what stands."""
    if not is_new and look.noted is not None and not look.noted.account_data:
        return {}
    after = 0 if is_new else max(look.after, 0)
    tx = await look.connection.tx()
    found = await subscription_changes(
        tx, look.user_id, after, look.upto.position + 1, limit + 1, subscribed_only=is_new
    )
    return _json(page(found, limit))


def _json(shown: Page) -> dict[str, object]:
    earlier = {} if shown.following is None else {"prev_batch": str(Token(shown.following))}
    return as_json(shown.changes) | earlier
