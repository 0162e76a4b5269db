"""The services that carry calls of many (MSC4143, MSC4519): as configured, where clients look for them."""

from __future__ import annotations

from services.settings import Voip
from tests.fixtures.homeserver import Homeserver, MakeHomeserver

PATHS = (
    "/_matrix/client/v1/rtc/transports",
    "/_matrix/client/unstable/org.matrix.msc4143/rtc/transports",
)


async def test_transports_are_those_of_the_configuration(make_homeserver: MakeHomeserver) -> None:
    url = "https://call.example/livekit/jwt"
    homeserver = await make_homeserver(voip=Voip(livekit_services=(url,)))
    alice = await homeserver.user("alice")
    transports = [{"type": "livekit", "livekit_service_url": url}]
    for path in PATHS:
        assert await alice.ok("GET", path) == {"rtc_transports": transports}
        assert (await homeserver.nobody().get(path))[0] == 401
    well_known = await homeserver.nobody().ok("GET", "/.well-known/matrix/client")
    assert well_known["org.matrix.msc4143.rtc_foci"] == transports


async def test_without_any_there_is_nothing_to_tell(homeserver: Homeserver) -> None:
    alice = await homeserver.user("alice")
    for path in PATHS:
        assert await alice.ok("GET", path) == {"rtc_transports": []}
    assert "org.matrix.msc4143.rtc_foci" not in await alice.ok("GET", "/.well-known/matrix/client")
