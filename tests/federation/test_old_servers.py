"""Servers that know only the first form of an endpoint: we ask again in that form, and only of those."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp import web

from protocol.event_format import parse_pdu
from tests.federation.lying_room import FEDERATION, LyingRoom
from tests.federation.plays import membership
from tests.fixtures.client import Client
from tests.fixtures.federation import MakeFederated, MakeLying
from tests.fixtures.homeserver import Homeserver
from tests.fixtures.lying_server import Asked, LyingServer

UNKNOWN = [
    (404, {"errcode": "M_UNRECOGNIZED", "error": "Unrecognized request"}),
    (400, {"errcode": "M_UNRECOGNIZED", "error": "Unrecognized request"}),
    (405, {}),
    "no matrix",
]
by_all_means = pytest.mark.parametrize("unknown", UNKNOWN)


def an_answer(unknown: Any) -> Any:
    """The answer of a server that does not know the endpoint."""
    if unknown == "no matrix":
        return web.Response(status=404, text="<html>404 page not found</html>")
    return unknown


def old(server: LyingServer, what: str, unknown: Any, script: Any) -> None:
    """The server knows v1 of the endpoint only."""
    server.on("PUT", f"{FEDERATION}/v2/{what}/", lambda _: an_answer(unknown))
    server.on("PUT", f"{FEDERATION}/v1/{what}/", lambda asked: [200, script(asked)])


async def joined(one: Homeserver, server: LyingServer, unknown: Any) -> tuple[Client, LyingRoom]:
    """Bob is in the room, which he has joined through the server."""
    bob, room = await one.user("bob"), LyingRoom(server, "1")
    room.opens()
    old(server, "send_join", unknown, lambda _: room.shown())
    await bob.ok("POST", f"rooms/{room.id}/join?via={server.name}", json={})
    return bob, room


@by_all_means
async def test_joining(make_federated: MakeFederated, make_lying: MakeLying, unknown: Any) -> None:
    one, server = await make_federated(), await make_lying()
    bob, room = await joined(one, server, unknown)
    assert (await membership(one, room.id, bob.user_id))["membership"] == "join"
    (asked,) = [asked for asked in server.asked if "/v1/send_join/" in asked.path]
    assert asked.query == ""


@by_all_means
async def test_refusing_an_invite(make_federated: MakeFederated, make_lying: MakeLying, unknown: Any) -> None:
    one, server = await make_federated(), await make_lying()
    bob, room = await one.user("bob"), LyingRoom(server, "1")
    invite = room.draft("m.room.member", {"membership": "invite"}, bob.user_id)
    assert (await server.request(one, "PUT", room.path("v1/invite", invite.event_id), invite.json))[0] == 200
    server.on("GET", f"{FEDERATION}/v1/make_leave/", lambda _: room.template(bob.user_id, "leave"))
    old(server, "send_leave", unknown, lambda _: {})

    await bob.leave(room.id)

    (asked,) = [asked for asked in server.asked if "/v1/send_leave/" in asked.path]
    assert asked.json["content"]["membership"] == "leave"


@by_all_means
async def test_inviting(make_federated: MakeFederated, make_lying: MakeLying, unknown: Any) -> None:
    one, server = await make_federated(), await make_lying()
    alice, guest = await one.user("alice"), f"@guest:{server.name}"
    room_id = await alice.create_room(room_version="1", name="Old")

    def sign(asked: Asked) -> Any:
        assert "m.room.create" in [event["type"] for event in asked.json["unsigned"]["invite_room_state"]]
        return {"event": server.signed(parse_pdu(asked.json, LyingRoom(server, "1").version)).json}

    old(server, "invite", unknown, sign)
    await alice.invite(room_id, guest)
    assert (await membership(one, room_id, guest))["membership"] == "invite"


@pytest.mark.parametrize(
    "refusal", [(404, {"errcode": "M_NOT_FOUND"}), (403, {"errcode": "M_FORBIDDEN"}), (500, {})]
)
async def test_a_refusal_is_one(make_federated: MakeFederated, make_lying: MakeLying, refusal: Any) -> None:
    one, server = await make_federated(), await make_lying()
    bob, room = await one.user("bob"), LyingRoom(server, "1")
    room.opens()
    old(server, "send_join", refusal, lambda _: room.shown())
    status, _ = await bob.post(f"rooms/{room.id}/join?via={server.name}")
    assert status >= 400
    assert not server.times_asked(f"{FEDERATION}/v1/send_join/")
