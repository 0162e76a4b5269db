"""Names that endpoints had before they came into the specification, and small ones that are still on their way."""

from __future__ import annotations

from tests.client_api.uia import confirmed
from tests.fixtures.client import Client


async def test_a_room_summary_by_its_older_names(alice: Client) -> None:
    room = await alice.create_room(preset="public_chat", name="A room")
    base = "/_matrix/client/unstable/im.nheko.summary"
    new = await alice.ok("GET", f"/_matrix/client/v1/room_summary/{room}")
    for path in (f"{base}/summary/{room}", f"{base}/rooms/{room}/summary"):
        assert await alice.ok("GET", path) == new


async def test_no_message_is_deleted_for_its_age(alice: Client) -> None:
    path = "/_matrix/client/unstable/org.matrix.msc1763/retention/configuration"
    assert await alice.ok("GET", path) == {"policies": {}, "limits": {}}


async def test_a_login_token_by_its_older_name(alice: Client) -> None:
    path = "/_matrix/client/unstable/org.matrix.msc3882/login/get_token"
    status, said = await confirmed(alice, "POST", path)
    assert status == 200
    login = {"type": "m.login.token", "token": said["login_token"]}
    assert (await alice.ok("POST", "login", json=login))["user_id"] == alice.user_id
