"""From Alice's keyboard to Bob's browser: through our homeserver and our gateway, and read with the browser's keys."""

from __future__ import annotations

import asyncio

from services.settings import Push
from tests.client_api.test_unread import mention
from tests.fixtures.homeserver import MakeHomeserver
from tests.fixtures.push_gateway import PATH, set_pusher
from tests.push_gateway.conftest import MakeGateway, authority, clock, make_gateway
from tests.push_gateway.test_webpush import APP, Browser, Mozilla, mozilla, opened

__all__ = ["authority", "clock", "make_gateway", "mozilla"]  # fixtures


async def test_a_mention_reaches_the_browser_and_an_unknown_application_is_given_up(
    make_homeserver: MakeHomeserver,
    make_gateway: MakeGateway,
    mozilla: Mozilla,
) -> None:
    gateway, browser = await opened(make_gateway, mozilla), Browser()
    url = gateway.url + PATH
    homeserver = await make_homeserver(push=Push(private_gateways=(url,)))
    alice, bob = await homeserver.user("alice"), await homeserver.user("bob")
    room = await alice.create_room(preset="public_chat", name="The hall")
    await bob.join(room)
    await set_pusher(bob, url, browser.pushkey, data=browser.data, app_id=APP)
    await set_pusher(bob, url, "key", app_id="org.example.unknown")
    sent = await alice.send(room, mention(bob))
    async with asyncio.timeout(10):
        while not mozilla.provider.asked:
            await asyncio.sleep(0.02)
        told = browser.reads(mozilla.provider.asked[0])
        assert (told["event_id"], told["room_id"], told["room_name"]) == (sent, room, "The hall")
        assert (told["content"], told["unread"], told["prio"]) == (mention(bob), 1, "high")
        while len(found := (await bob.ok("GET", "pushers"))["pushers"]) > 1:
            await asyncio.sleep(0.02)
    assert [pusher["app_id"] for pusher in found] == [APP]
