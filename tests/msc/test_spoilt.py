"""Requests of these endpoints with something wrong in them: an answer, and never an error of the server's own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.fixtures.client import Client
from tests.msc.test_dehydrated_devices import DEVICE, upload

UNSTABLE = "/_matrix/client/unstable"
VALUES: tuple[Any, ...] = (
    None,
    True,
    -1,
    2**60,
    1.5,
    "",
    "\0",
    "x" * 70_000,
    [],
    [1],
    {},
    {"a": {"b": "\0"}},
)


def spoilt(body: Any) -> Iterator[Any]:
    """The body with each of its members, however deep, replaced by each of the values."""
    yield from VALUES
    if isinstance(body, dict):
        for name, value in body.items():
            yield {key: kept for key, kept in body.items() if key != name}
            for other in spoilt(value):
                yield body | {name: other}


@pytest.mark.parametrize(
    "what",
    [
        "delayed event",
        "delayed action",
        "subscription",
        "dehydrated device",
        "events",
        "redaction",
        "invites",
        "sliding",
    ],
)
async def test_a_spoilt_body_is_answered(alice: Client, what: str) -> None:
    room = await alice.create_room()
    root = await alice.send(room, "root")
    delayed = f"{UNSTABLE}/org.matrix.msc4140/rooms/{room}/delayed_event/m.test"
    method, path, body = {
        "delayed event": ("PUT", f"{delayed}/1", {"delay_ms": 5, "state_key": "k", "content": {"a": 1}}),
        "delayed action": ("POST", f"{UNSTABLE}/org.matrix.msc4140/delayed_events/x", {"action": "send"}),
        "subscription": (
            "PUT",
            f"{UNSTABLE}/io.element.msc4306/rooms/{room}/thread/{root}/subscription",
            {"automatic": root},
        ),
        "dehydrated device": ("PUT", DEVICE, upload(alice, "SLEEPER")),
        "events": ("POST", f"{DEVICE}/SLEEPER/events", {"next_batch": "1"}),
        "redaction": (
            "PUT",
            f"rooms/{room}/redact/{root}/1",
            {"reason": "r", "with_rel_types": ["m.thread"]},
        ),
        "invites": (
            "PUT",
            f"user/{alice.user_id}/account_data/org.matrix.msc4155.invite_permission_config",
            {"enabled": True, "blocked_users": ["@x:*"], "allowed_servers": ["*"]},
        ),
        "sliding": (
            "POST",
            f"{UNSTABLE}/org.matrix.simplified_msc3575/sync",
            {"extensions": {"io.element.msc4308.thread_subscriptions": {"enabled": True, "limit": 1}}},
        ),
    }[what]
    if what != "invites":
        assert (await alice.put(DEVICE, upload(alice, "SLEEPER")))[0] == 200
    bob = await alice.log_in()
    for number, other in enumerate(spoilt(body)):
        target = f"{delayed}/{number}" if what == "delayed event" else path
        status, said = await alice.request(method, target, json=other)
        assert status < 500, (other, said)
        if what == "invites":
            assert (await bob.get("sync", params={"timeout": 0}))[0] == 200


QUERIES = (
    "from=x", "from=", "to=%00", "limit=0", "limit=-1", "limit=x", "limit=9999999999999999999999", "dir=%FF",
)  # fmt: skip


@pytest.mark.parametrize("query", QUERIES)
async def test_a_spoilt_query_is_answered(alice: Client, query: str) -> None:
    await alice.ok("PUT", DEVICE, json=upload(alice, "SLEEPER"))
    room = await alice.create_room()
    for path in (
        f"{UNSTABLE}/io.element.msc4308/thread_subscriptions?{query}",
        f"{DEVICE}/SLEEPER/events?{query}",
        f"rooms/{room}/state/m.test%00/%00?org.matrix.msc4140.delay=1",
        f"rooms/{room}/send/m.test%00/%00?org.matrix.msc4140.delay=1",
        f"{UNSTABLE}/org.matrix.msc4140/delayed_events/%00",
        f"{DEVICE}/%00/events",
        f"rooms/{room}/state/m.test/?org.matrix.msc4140.delay={query.partition('=')[2]}",
    ):
        method = "PUT" if "delay" in path else "GET"
        status, _ = await alice.request(method, path, json={} if method == "PUT" else None)
        assert status < 500
