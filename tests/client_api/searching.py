"""Searching as a client does it, for tests."""

from __future__ import annotations

from typing import Any

from tests.fixtures.client import Client


async def search(client: Client, term: str, *, next_batch: str | None = None, **more: Any) -> dict[str, Any]:
    """What is found; by time, unless something else is said."""
    body = {"search_categories": {"room_events": {"search_term": term, "order_by": "recent"} | more}}
    params = {} if next_batch is None else {"next_batch": next_batch}
    answer = await client.ok("POST", "search", json=body, params=params)
    found: dict[str, Any] = answer["search_categories"]["room_events"]
    return found


def ids(found: dict[str, Any]) -> list[str]:
    """The events' IDs, in their order."""
    return [result["result"]["event_id"] for result in found["results"]]


async def found(client: Client, term: str, **more: Any) -> list[str]:
    """The IDs of the events that are found."""
    return ids(await search(client, term, **more))


def edit(target: str, body: str) -> dict[str, Any]:
    """The content of an edit."""
    return {
        "msgtype": "m.text",
        "body": f"* {body}",
        "m.new_content": {"msgtype": "m.text", "body": body},
        "m.relates_to": {"rel_type": "m.replace", "event_id": target},
    }
