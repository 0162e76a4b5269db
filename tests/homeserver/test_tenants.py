"""Two servers in one process, on one port: chosen by Host, and neither can read what is the other's."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from homeserver.listen import listening
from tests.fixtures.client import Client
from tests.fixtures.homeserver import EVERYTHING, PASSWORD, MakeHomeserver, endpoints


@dataclass
class House:
    """One port, two servers."""

    url: str
    session: Any

    def nobody(self, host: str) -> Client:
        """A client that asks the server of this name."""
        return Client(self.session, self.url, headers={"Host": host})

    async def user(self, localpart: str, host: str) -> Client:
        """A new user there."""
        client = self.nobody(host)
        body: dict[str, Any] = {"username": localpart, "password": PASSWORD}
        _, asked = await client.post("register", body)
        auth = {"type": "m.login.dummy", "session": asked["session"]}
        said = await client.ok("POST", "register", json=body | {"auth": auth})
        client.user_id, client.access_token = said["user_id"], said["access_token"]
        return client


@pytest.fixture
async def house(make_homeserver: MakeHomeserver) -> AsyncIterator[House]:
    """one.example and two.example behind one port."""
    one, two = await make_homeserver("one.example"), await make_homeserver("two.example")
    assert one.tenant.database.schema != two.tenant.database.schema
    assert one.tenant.signing_key.seed != two.tenant.signing_key.seed
    tenants = [one.tenant, two.tenant]
    async with listening(EVERYTHING, endpoints(), tenants, lambda served: None) as url:
        yield House(url, one.session)


async def test_the_host_says_which_server_is_meant(house: House) -> None:
    for host, name in (("one.example", "one.example"), ("TWO.example:8448", "two.example")):
        assert (await house.user("alice", host)).user_id == f"@alice:{name}"
    status, said = await house.nobody("three.example").get("/_matrix/client/versions")
    assert (status, said["errcode"]) == (404, "M_NOT_FOUND")


async def test_a_token_is_good_for_its_own_server_only(house: House) -> None:
    alice = await house.user("alice", "one.example")
    stranger = house.nobody("two.example")
    stranger.access_token = alice.access_token
    for path in ("account/whoami", "sync", "joined_rooms", "devices"):
        assert (await alice.get(path))[0] == 200
        status, said = await stranger.get(path)
        assert (status, said["errcode"]) == (401, "M_UNKNOWN_TOKEN"), path


async def test_a_password_is_good_for_its_own_server_only(house: House) -> None:
    await house.user("alice", "one.example")
    for host, expected in (("one.example", 200), ("two.example", 403)):
        body = {"type": "m.login.password", "identifier": {"type": "m.id.user", "user": "alice"}}
        assert (await house.nobody(host).post("login", body | {"password": PASSWORD}))[0] == expected


async def test_rooms_aliases_and_profiles_of_one_are_unknown_to_the_other(house: House) -> None:
    alice = await house.user("alice", "one.example")
    room = await alice.create_room(
        name="secret plans", room_alias_name="plans", preset="public_chat", visibility="public"
    )
    said = await alice.send(room, "meet at noon")
    await alice.put(f"profile/{alice.user_id}/displayname", {"displayname": "Alice"})

    mallory = await house.user("alice", "two.example")  # the same localpart, at the other server
    for path in (
        f"rooms/{room}/messages?dir=b", f"rooms/{room}/state", f"rooms/{room}/event/{said}",
        f"rooms/{room}/members", f"rooms/{room}/context/{said}", f"directory/list/room/{room}",
        "directory/room/%23plans:one.example",
    ):  # fmt: skip
        status, reply = await mallory.get(path)
        assert status in (403, 404), f"{path}: {status} {reply}"
        assert "noon" not in str(reply)
        assert "secret plans" not in str(reply)
    assert (await mallory.post(f"join/{room}"))[0] in (403, 404)
    assert (await mallory.put(f"rooms/{room}/send/m.room.message/1", {"body": "hello"}))[0] in (403, 404)
    assert (await mallory.ok("GET", "publicRooms"))["chunk"] == []
    assert (await mallory.ok("GET", "joined_rooms"))["joined_rooms"] == []
    assert {"msgtype": "m.text", "body": "meet at noon"} in [e["content"] for e in await alice.messages(room)]
