"""Reports reach the database; who may not see something cannot find out by reporting it. And whois."""

from __future__ import annotations

from tests.client_api.stored import path
from tests.fixtures.client import Client
from tests.fixtures.homeserver import Homeserver


async def _reports(homeserver: Homeserver) -> list[tuple[str | None, ...]]:
    async with homeserver.tenant.database.read() as tx:
        found = await tx.fetch(
            "SELECT reporter, room_id, event_id, user_id, reason FROM reports ORDER BY number"
        )
    return [tuple(row.values()) for row in found]


async def test_events_are_reported_by_those_in_the_room(
    homeserver: Homeserver, alice: Client, bob: Client
) -> None:
    room = await alice.create_room(preset="public_chat")
    event = await alice.send(room, "nasty")
    assert (await bob.post(path(room, "report", event)))[0] == 404
    await bob.join(room)
    await bob.ok("POST", path(room, "report", event), json={"reason": "nasty", "score": -100})
    await bob.ok("POST", path(room, "report", event), json={})
    assert (await bob.post(path(room, "report", "$no")))[0] == 404
    expected = [(bob.user_id, room, event, alice.user_id, reason) for reason in ("nasty", None)]
    assert await _reports(homeserver) == expected


async def test_rooms_and_users_are_reported_and_nothing_is_told_of_them(
    homeserver: Homeserver, alice: Client, bob: Client
) -> None:
    room = await alice.create_room()
    for target in (path(room, "report"), path("!no:one.example", "report")):
        assert await bob.ok("POST", target, json={"reason": "a room"}) == {}
    for user_id in (alice.user_id, "@no:one.example"):
        assert await bob.ok("POST", f"users/{user_id}/report", json={"reason": ""}) == {}
    assert await _reports(homeserver) == [
        (bob.user_id, room, None, None, "a room"),
        (bob.user_id, None, None, alice.user_id, ""),
    ]
    for target in (path(room, "report"), f"users/{alice.user_id}/report"):
        assert (await bob.post(target))[1]["errcode"] == "M_MISSING_PARAM"


async def test_whois_is_for_the_user_and_for_administrators(
    homeserver: Homeserver, alice: Client, bob: Client
) -> None:
    alice.headers["User-Agent"] = "Phone/1"
    said = await alice.ok("GET", f"admin/whois/{alice.user_id}")
    (connection,) = said["devices"][alice.device_id]["sessions"][0]["connections"]
    assert (connection["ip"], connection["user_agent"]) == ("127.0.0.1", "Phone/1")
    assert connection["last_seen"] > 0
    assert (await bob.get(f"admin/whois/{alice.user_id}"))[0] == 403
    async with homeserver.tenant.database.read() as tx:
        await tx.execute("UPDATE users SET is_admin = true WHERE user_id = $1", bob.user_id)
    boss = await bob.log_in()
    assert (await boss.ok("GET", f"admin/whois/{alice.user_id}"))["user_id"] == alice.user_id
    assert (await boss.get("admin/whois/@no:one.example"))[0] == 404
