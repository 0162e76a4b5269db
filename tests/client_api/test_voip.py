"""Credentials for TURN servers prove themselves; third-party networks are unknown where no bridge knows any."""

from __future__ import annotations

import hmac
from base64 import b64decode

from services.settings import HOUR, Voip
from tests.fixtures.homeserver import MakeHomeserver
from tests.fixtures.time import FakeClock


async def test_turn_credentials_are_what_turn_servers_compute(make_homeserver: MakeHomeserver) -> None:
    uris = ("turn:turn.example?transport=udp", "turns:turn.example")
    clock = FakeClock()
    one = await make_homeserver(clock=clock, voip=Voip(uris, "geheim", 2 * HOUR))
    alice = await one.user("alice")
    said = await alice.ok("GET", "voip/turnServer")
    expires, _, user_id = said["username"].partition(":")
    assert int(expires) == (clock.now() + 2 * HOUR) // 1000
    assert user_id == alice.user_id
    assert (said["uris"], said["ttl"]) == (list(uris), 7200)
    assert b64decode(said["password"]) == hmac.digest(b"geheim", said["username"].encode(), "sha1")


async def test_without_turn_servers_there_are_none(make_homeserver: MakeHomeserver) -> None:
    alice = await (await make_homeserver(voip=Voip())).user("alice")
    status, said = await alice.get("voip/turnServer")
    assert (status, said["errcode"]) == (404, "M_NOT_FOUND")


async def test_nothing_is_known_of_third_party_networks(make_homeserver: MakeHomeserver) -> None:
    alice = await (await make_homeserver()).user("alice")
    assert await alice.ok("GET", "thirdparty/protocols") == {}
    for path in ("protocol/irc", "location/irc", "location?alias=%23a:b", "user/irc", "user?userid=%40a:b"):
        status, said = await alice.get(f"thirdparty/{path}")
        assert (status, said["errcode"]) == (404, "M_NOT_FOUND"), path
    for path in ("location", "user"):
        assert (await alice.get(f"thirdparty/{path}"))[1]["errcode"] == "M_MISSING_PARAM"
