"""Several processes, of which one tells; and one that is killed in the middle."""

from __future__ import annotations

import asyncio
from pathlib import Path

import aiohttp

from tests.client_api.test_unread import read
from tests.durability.test_kill import Sender
from tests.fixtures.homeserver import MakeHomeserver
from tests.fixtures.live import LiveServer
from tests.fixtures.push_gateway import Json, PushGateway, pusher, set_pusher

MESSAGES = 40


async def test_what_happens_in_one_process_is_told_once(
    make_homeserver: MakeHomeserver, gateway: PushGateway, redis_url: str
) -> None:
    one = await make_homeserver(redis_url=redis_url, push=gateway.settings)
    other = await make_homeserver(beside=one, redis_url=redis_url)
    alice, bob = await one.user("alice"), await one.user("bob")
    room = await alice.create_room(preset="public_chat")
    await bob.join(room)
    there, bob_there = await alice.log_in(), await bob.log_in()
    for person in (there, bob_there):
        person.session, person.url = other.session, other.url
    await set_pusher(bob_there, gateway.url)
    sent = [await (there if number % 2 else alice).send(room, f"{number}") for number in range(10)]
    await gateway.until(lambda: len(gateway.pushes) == 10)
    await read(bob_there, room, sent[-1])
    await gateway.until(lambda: len(gateway.pushes) == 11)
    assert gateway.events() == sent
    assert gateway.pushes[-1]["counts"] == {"unread": 0}


async def _talk(alice: Sender, room: str, sent: list[str]) -> None:
    for number in range(MESSAGES):
        event_id = await alice.send(room, number)
        sent.append(event_id)


async def test_a_server_that_is_killed_loses_no_push_and_doubles_but_the_one_in_flight(
    tmp_path: Path, gateway: PushGateway
) -> None:
    config = tmp_path / "hearth.yaml"
    server = LiveServer(tmp_path, config=config)
    config.write_text(
        f"server_name: one.example\ndata_folder: {tmp_path / 'data'}\nlisteners: [{{port: {server.port}}}]\n"
        f"registration: {{mode: open}}\npush: {{private_gateways: ['{gateway.url}']}}\n"
    )
    await server.start()
    try:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as session:
            alice, bob = Sender(session, server, "alice"), Sender(session, server, "bob")
            await alice.register()
            await bob.register()
            room = str((await alice.call("POST", "/createRoom", {"preset": "public_chat"}))["room_id"])
            await bob.call("POST", f"/rooms/{room}/join", {})
            await bob.call("POST", "/pushers/set", pusher(gateway.url))

            async def slow(_: Json) -> None:
                await asyncio.sleep(0.02)

            gateway.on_push = slow
            sent: list[str] = []

            talking = asyncio.create_task(_talk(alice, room, sent))
            for few in (6, 15):
                await gateway.until(lambda few=few: len(gateway.pushes) >= few, 60)
                await server.kill()
                await server.start()
            await asyncio.wait_for(talking, 60)
            await gateway.until(lambda: set(gateway.events()) >= set(sent), 60)
    finally:
        await server.stop()
    told = gateway.events()
    assert list(dict.fromkeys(told)) == sent
    assert len(told) <= len(sent) + 2
