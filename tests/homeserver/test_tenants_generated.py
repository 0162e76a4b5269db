"""Two servers in one process: no operation gives the one what is the other's, whoever asks and with what."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson
import pytest

from homeserver.listen import listening
from tests.fixtures.client import Answer, Client
from tests.fixtures.homeserver import EVERYTHING, Homeserver, MakeHomeserver, endpoints
from tests.hostile.attacks import needs_token
from tests.hostile.everything import everything
from tests.hostile.operations import Operation, operations
from tests.hostile.valid import NOT_FOUND, valid_request
from tests.hostile.world import KEY_DATA, PIXEL, Request, World, make_place, make_world
from web.endpoint import Auth

SECRET = "the gold is under the oak"


@dataclass
class Houses:
    """A world on one.example, and a stranger on two.example who has the same name; both behind one port."""

    url: str
    world: World
    stranger: Client

    def secrets(self) -> list[str]:
        """What two.example is never to say."""
        world, me = self.world, self.world.me
        return [
            SECRET,
            me.user_id,
            me.device_id,
            world.room,
            world.event,
            world.alias,
            world.place.bob.user_id,
        ]

    async def ask(self, host: str, token: str | None, operation: Operation, request: Request) -> Answer:
        """The answer of the server of this name."""
        client = Client(self.stranger.session, self.url, access_token=token, headers={"Host": host})
        data = None if request.body is None else orjson.dumps(request.body)
        return await client.request(
            operation.method, request.target(operation.path), data=data, allow_redirects=False
        )


@pytest.fixture
async def houses(make_homeserver: MakeHomeserver, tmp_path: Path) -> AsyncIterator[Houses]:
    """one.example has rooms, events, media, aliases, profiles, account data, filters, devices, keys..., two.example nothing."""
    one = await make_homeserver("one.example", **everything(tmp_path))
    two = await make_homeserver("two.example")
    world = await make_world(await make_place(one))
    await _keep_secrets(one, world)
    await two.user("bob")
    stranger = await two.user(world.me.user_id[1:].partition(":")[0])
    tenants = [one.tenant, two.tenant]
    async with listening(EVERYTHING, endpoints(), tenants, lambda served: None) as url:
        yield Houses(url, world, stranger)


async def _keep_secrets(homeserver: Homeserver, world: World) -> None:
    me, room = world.me, world.room
    world.event = await me.send(room, SECRET)
    await me.set_state(room, "m.custom", {"secret": SECRET}, "key")
    await me.ok("PUT", f"profile/{me.user_id}/displayname", json={"displayname": SECRET})
    await me.ok("PUT", f"user/{me.user_id}/account_data/m.custom", json={"secret": SECRET})
    await me.ok("PUT", f"user/{me.user_id}/rooms/{room}/account_data/m.custom", json={"secret": SECRET})
    await me.ok("PUT", f"user/{me.user_id}/rooms/{room}/tags/u.work", json={"secret": SECRET})
    await me.ok("PUT", f"devices/{me.device_id}", json={"display_name": SECRET})
    await me.ok("PUT", f"presence/{me.user_id}/status", json={"presence": "online", "status_msg": SECRET})
    await me.ok("PUT", f"directory/list/room/{room}", json={"visibility": "public"})
    await me.ok("PUT", f"room_keys/keys/{room}/s?version={world.version}", json=KEY_DATA)
    assert homeserver.name == "one.example"


def _requests(houses: Houses, operation: Operation) -> Iterator[Request]:
    """With the IDs of the one; with those and the stranger's user ID; and with the other's name in all of them."""
    request = valid_request(houses.world, operation)
    yield request
    if "userId" in request.path:
        own = quote(houses.stranger.user_id, safe="")
        yield replace(request, path=request.path | {"userId": own})
    there = {name: value.replace("one.example", "two.example") for name, value in request.path.items()}
    if there != request.path:
        yield replace(request, path=there)


def _said(body: Any) -> str:
    return body.decode("latin-1") if isinstance(body, bytes) else str(body)


async def test_with_a_token_of_the_one_nothing_is_had_of_the_other(houses: Houses) -> None:
    wrong = []
    for operation in filter(needs_token, operations()):
        for request in _requests(houses, operation):
            answer = await houses.ask("two.example", houses.world.me.access_token, operation, request)
            if answer[0] != 401 or answer[1]["errcode"] != "M_UNKNOWN_TOKEN":
                wrong.append(f"{operation}: {answer}")
    assert not wrong, "\n".join(wrong)


async def test_nothing_of_the_one_is_shown_at_the_other(houses: Houses) -> None:
    """The stranger asks the own server with the IDs of the other one's things."""
    wrong, refused = [], 0
    for operation in operations():
        if operation.method != "GET":
            continue
        for request in _requests(houses, operation):
            tokens = [houses.stranger.access_token]
            if operation.endpoint.auth is not Auth.USER:
                tokens += [None, houses.world.me.access_token]
            for token in tokens:
                status, body = await houses.ask("two.example", token, operation, request)
                refused += status >= 400
                if status not in (200, 302, 400, 401, 403, 404):
                    wrong.append(f"{operation}: {status} {body}")
                if status == 200 and (
                    body == PIXEL or any(secret in _said(body) for secret in houses.secrets())
                ):
                    wrong.append(f"{operation}: {request.target(operation.path)}: {_said(body)[:300]}")
                if SECRET in _said(body):
                    wrong.append(f"{operation}: {status} {_said(body)[:300]}")
    assert not wrong, "\n".join(wrong)
    assert refused > 30


async def test_the_secrets_are_there_for_their_owner(houses: Houses) -> None:
    """Else their absence would say nothing."""
    shown = 0
    for operation in operations():
        if operation.method == "GET" and "/admin/" not in operation.path and operation.name not in NOT_FOUND:
            request = valid_request(houses.world, operation)
            request.query = [(name, value) for name, value in request.query if name != "since"]
            status, body = await houses.ask("one.example", houses.world.me.access_token, operation, request)
            assert status < 400, f"{operation}: {body}"
            shown += body == PIXEL or any(secret in _said(body) for secret in houses.secrets())
    assert shown > 20


async def test_what_is_done_at_the_other_changes_nothing_at_the_one(houses: Houses) -> None:
    before = [await _state(houses) for _ in range(2)][1]
    for operation in operations():
        if operation.method == "GET" or operation.name in ("logout", "logout_all", "deactivateAccount"):
            continue
        for request in _requests(houses, operation):
            await houses.ask("two.example", houses.stranger.access_token, operation, request)
    assert await _state(houses) == before


async def _state(houses: Houses) -> list[Any]:
    """All that the owner sees, but for what moves by itself."""
    me, world = houses.world.me, houses.world
    me.next_batch = None
    sync = await me.sync()
    rooms = {
        room_id: [event["event_id"] for event in room["timeline"]["events"]]
        for room_id, room in sync["rooms"]["join"].items()
    }
    paths = ("devices", "pushrules/", "pushers", "joined_rooms", f"profile/{me.user_id}", "account/whoami")
    said = [await me.ok("GET", path) for path in paths]
    said[0] = [(device["device_id"], device.get("display_name")) for device in said[0]["devices"]]
    return [rooms, sync["account_data"], said, await me.ok("GET", f"room_keys/keys?version={world.version}")]


async def test_a_host_that_is_not_served(houses: Houses) -> None:
    for operation in operations():
        request = valid_request(houses.world, operation)
        for host in ("three.example", "one.example.", "xone.example", "127.0.0.1"):
            status, said = await houses.ask(host, houses.world.me.access_token, operation, request)
            assert (status, said["errcode"]) == (404, "M_NOT_FOUND"), f"{operation} {host}: {said}"
