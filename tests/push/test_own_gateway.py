"""From Alice's keyboard to Bob's browser: through our homeserver and our gateway, and read with the browser's keys."""

from __future__ import annotations

import asyncio
from pathlib import Path

from homeserver.config_load import load
from homeserver.config_push import push_of
from services.push.delivery.observations import PushRefused
from services.settings import Push
from tests.client_api.test_unread import mention
from tests.fixtures.homeserver import MakeHomeserver
from tests.fixtures.push_gateway import PATH, set_pusher
from tests.push_gateway.conftest import MakeGateway, authority, clock, make_gateway
from tests.push_gateway.test_webpush import APP, Browser, Mozilla, mozilla, opened

__all__ = ["authority", "clock", "make_gateway", "mozilla"]  # fixtures


SECRET = "the two of us know"


async def test_a_gateway_that_asks_for_a_secret_is_shown_it_and_no_other_gateway_is(
    make_homeserver: MakeHomeserver, make_gateway: MakeGateway, mozilla: Mozilla, tmp_path: Path
) -> None:
    """By what operators write on both sides."""
    closed, browser = await opened(make_gateway, mozilla, secret=SECRET), Browser()
    other = await opened(make_gateway, mozilla, secret=SECRET)
    urls = [closed.url + PATH, other.url + PATH]
    file = tmp_path / "hearth.yaml"
    file.write_text(
        f"server_name: one.example\npush:\n  private_gateways: {urls}\n"
        f"  gateway_secrets: [{{url: '{urls[0]}', secret: '{SECRET}'}}]\n"
    )
    homeserver = await make_homeserver(push=push_of(load(file, {}).push))
    alice, bob = await homeserver.user("alice"), await homeserver.user("bob")
    room = await alice.create_room(preset="public_chat")
    await bob.join(room)
    await set_pusher(bob, urls[1], browser.pushkey, data=browser.data, app_id=APP)
    await alice.send(room, "hello")
    async with asyncio.timeout(60):
        while not any(isinstance(one, PushRefused) for one in homeserver.observed):
            await asyncio.sleep(0.02)
        assert mozilla.provider.asked == []
        await set_pusher(bob, urls[0], browser.pushkey, data=browser.data, app_id=APP)
        sent = await alice.send(room, "hello again")
        while not mozilla.provider.asked:
            await asyncio.sleep(0.02)
    assert browser.reads(mozilla.provider.asked[0])["event_id"] == sent
    assert not any(SECRET in f"{one}" for one in homeserver.observed)


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
    async with asyncio.timeout(60):
        while not mozilla.provider.asked:
            await asyncio.sleep(0.02)
        told = browser.reads(mozilla.provider.asked[0])
        assert (told["event_id"], told["room_id"], told["room_name"]) == (sent, room, "The hall")
        assert (told["content"], told["unread"], told["prio"]) == (mention(bob), 1, "high")
        while len(found := (await bob.ok("GET", "pushers"))["pushers"]) > 1:
            await asyncio.sleep(0.02)
    assert [pusher["app_id"] for pusher in found] == [APP]
