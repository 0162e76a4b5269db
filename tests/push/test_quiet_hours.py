"""Quiet hours (MSC3767): kept by the server, in the user's time zone, for every device."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from protocol.push_rules.times import parse_times
from tests.client_api.test_unread import GLOBAL, mention
from tests.fixtures.homeserver import MakeHomeserver
from tests.fixtures.push_gateway import PushGateway, set_pusher
from tests.fixtures.time import FakeClock

BERLIN = "Europe/Berlin"


def at(text: str) -> int:
    """A time in UTC, in ms since 1970."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def hold(now: str, zone: str | None, *intervals: dict[str, Any]) -> bool:
    times = parse_times({"intervals": list(intervals)} | ({"timezone": zone} if zone else {}))
    assert times is not None
    return times.hold_at(at(now))


WORK = {"time_of_day": ["09:00", "17:00"], "day_of_week": [1, 2, 3, 4, 5]}
NIGHT = {"time_of_day": ["22:00", "07:00"], "day_of_week": [5]}  # Friday's night
WEEKEND = {"day_of_week": [0, 6]}


@pytest.mark.parametrize(
    ("now", "zone", "interval", "held"),
    [
        ("2026-01-05T08:59", None, WORK, False),  # a Monday
        ("2026-01-05T09:00", None, WORK, True),
        ("2026-01-05T17:00:59", None, WORK, True),  # «Times are inclusive»
        ("2026-01-05T17:01", None, WORK, False),
        ("2026-01-04T12:00", None, WORK, False),
        ("2026-01-05T08:00", BERLIN, WORK, True),  # UTC+1 in winter
        ("2026-01-05T07:59", BERLIN, WORK, False),
        ("2026-07-06T07:00", BERLIN, WORK, True),  # UTC+2 in summer
        ("2026-07-06T15:30", BERLIN, WORK, False),
        ("2026-01-09T21:59", None, NIGHT, False),
        ("2026-01-09T22:00", None, NIGHT, True),
        ("2026-01-10T07:00", None, NIGHT, True),  # the morning after belongs to Friday
        ("2026-01-10T22:00", None, NIGHT, False),
        ("2026-01-09T06:00", None, NIGHT, False),
        ("2026-01-03T00:00", None, WEEKEND, True),
        ("2026-01-04T23:59", None, WEEKEND, True),
        ("2026-01-05T00:00", None, WEEKEND, False),
        ("2026-01-04T23:30", "Asia/Tokyo", WEEKEND, False),  # Monday there
        ("2026-01-04T12:00", None, {"day_of_week": [7]}, True),
        # The night of the change to summer time: 02:00 to 03:00 is not there; after that it is UTC+2.
        ("2026-03-29T00:59", BERLIN, {"time_of_day": ["02:00", "02:59"]}, False),
        ("2026-03-29T01:00", BERLIN, {"time_of_day": ["03:00", "03:30"]}, True),
        # The hour that is there twice.
        ("2026-10-25T00:30", BERLIN, {"time_of_day": ["02:00", "02:59"]}, True),
        ("2026-10-25T01:30", BERLIN, {"time_of_day": ["02:00", "02:59"]}, True),
    ],
)
def test_times(now: str, zone: str | None, interval: dict[str, Any], held: bool) -> None:
    assert hold(now, zone, interval) is held


@pytest.mark.parametrize(
    "condition",
    [
        {},
        {"intervals": {}},
        {"intervals": [5]},
        {"intervals": [], "timezone": "Europe/Atlantis"},
        {"intervals": [], "timezone": "../../etc/passwd"},
        {"intervals": [], "timezone": 5},
        {"intervals": [{"day_of_week": [8]}]},
        {"intervals": [{"day_of_week": [True]}]},
        {"intervals": [{"time_of_day": ["9:00", "17:00"]}]},
        {"intervals": [{"time_of_day": ["09:00"]}]},
        {"intervals": [{"time_of_day": ["09:00", "24:00"]}]},
        {"intervals": [{}] * 51},
    ],
)
def test_what_is_no_time(condition: dict[str, Any]) -> None:
    assert parse_times(condition) is None


@pytest.mark.parametrize("kind", ["time_and_day", "org.matrix.msc3767.time_and_day"])
async def test_at_night_it_is_quiet_at_every_device(
    make_homeserver: MakeHomeserver, gateway: PushGateway, kind: str
) -> None:
    clock = FakeClock(at("2026-07-06T20:30"))  # 22:30 in Berlin
    homeserver = await make_homeserver(clock=clock, push=gateway.settings)
    alice, bob = await homeserver.user("alice"), await homeserver.user("bob")
    room = await alice.create_room(preset="public_chat")
    await bob.join(room)
    await set_pusher(bob, gateway.url)
    await set_pusher(await bob.log_in(), gateway.url, "tablet")
    night = {"kind": kind, "timezone": BERLIN, "intervals": [{"time_of_day": ["22:00", "07:00"]}]}
    rule = {"actions": [], "conditions": [night]}
    await bob.ok("PUT", f"{GLOBAL}/override/quiet", json=rule)
    status, body = await bob.put(
        f"{GLOBAL}/override/never", {"actions": [], "conditions": [night | {"intervals": 1}]}
    )
    assert (status, body["errcode"]) == (400, "M_INVALID_PARAM")
    await alice.send(room, mention(bob))
    await asyncio.sleep(0.3)
    assert gateway.asked == 0
    clock.advance(9 * 60 * 60 * 1000)  # it is 07:30
    sent = await alice.send(room, mention(bob))
    await gateway.until(lambda: len(gateway.pushes) == 2)
    assert gateway.events() == gateway.events("tablet") == [sent]
    assert gateway.pushes[0]["counts"] == {"unread": 1}
