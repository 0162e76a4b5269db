"""Deleted account data (MSC3391) is gone, and those who knew it are told; notification settings go with their device (3890)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fixtures.client import Client

UNSTABLE = "/_matrix/client/unstable/org.matrix.msc3391/user"


def told(reply: dict[str, Any], room: str | None) -> dict[str, Any]:
    """The account data of type m.custom and its like that a /sync brings, by type."""
    part = reply if room is None else reply.get("rooms", {}).get("join", {}).get(room, {})
    return {event["type"]: event["content"] for event in part.get("account_data", {}).get("events", [])}


@pytest.mark.parametrize("in_room", [False, True])
@pytest.mark.parametrize("method", ["DELETE", "PUT"])
async def test_deleted_account_data_is_gone(alice: Client, in_room: bool, method: str) -> None:
    room = await alice.create_room() if in_room else None
    place = f"{alice.user_id}/rooms/{room}" if room else alice.user_id
    path = f"user/{place}/account_data/m.custom"
    await alice.ok("PUT", path, json={"a": 1})
    assert told(await alice.sync(), room)["m.custom"] == {"a": 1}
    if method == "PUT":
        await alice.ok("PUT", path, json={})
    else:
        await alice.ok("DELETE", f"{UNSTABLE}/{place}/account_data/m.custom")
    assert told(await alice.sync(), room)["m.custom"] == {}
    status, said = await alice.get(path)
    assert (status, said["errcode"]) == (404, "M_NOT_FOUND")
    assert "m.custom" not in told(await alice.sync(since=""), room)
    await alice.ok("PUT", path, json={"a": 2})
    assert told(await alice.sync(), room)["m.custom"] == {"a": 2}


async def test_what_may_not_be_deleted(alice: Client, bob: Client) -> None:
    for type in ("m.push_rules", "m.fully_read"):
        assert (await alice.delete(f"{UNSTABLE}/{alice.user_id}/account_data/{type}"))[0] == 405
    await alice.sync()
    await alice.ok("DELETE", f"{UNSTABLE}/{alice.user_id}/account_data/m.custom")
    assert "account_data" not in await alice.sync(), "there was nothing to delete"
    assert (await bob.delete(f"{UNSTABLE}/{alice.user_id}/account_data/m.custom"))[0] == 403


@pytest.mark.parametrize("prefix", ["m", "org.matrix.msc3890"])
async def test_local_notification_settings_go_with_their_device(alice: Client, prefix: str) -> None:
    phone = await alice.log_in()
    type = f"{prefix}.local_notification_settings.{phone.device_id}"
    path = f"user/{alice.user_id}/account_data/{type}"
    await alice.ok("PUT", path, json={"is_silenced": True})
    await alice.sync()
    await phone.ok("POST", "logout")
    assert (await alice.get(path))[0] == 404
    assert told(await alice.sync(), None)[type] == {}
