"""Application services and other servers: invites to rooms that we are not in, and users made for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.appservices.conftest import Bridge
from tests.fixtures.appservice import registration_file, running_appservice
from tests.fixtures.federation import MakeFederated


async def test_a_ghost_is_invited_by_another_server(make_federated: MakeFederated, tmp_path: Path) -> None:
    async with running_appservice() as service:
        one = await make_federated(appservice_files=(registration_file(tmp_path, service),))
        bridge, two = Bridge(service, one), await make_federated()
        bob = await two.user("bob")
        dora = f"@_irc_dora:{one.name}"

        async def make(request: Any) -> dict[str, Any]:
            await bridge.ghost("_irc_dora")
            return {}

        service.answers[f"/_matrix/app/v1/users/{dora}"] = make
        room = await bob.create_room(preset="private_chat", name="Far away")
        await bob.invite(room, dora)
        [invite] = await service.until(service.events)
        assert (invite["room_id"], invite["sender"], invite["state_key"]) == (room, bob.user_id, dora)
        assert invite["content"]["membership"] == "invite"
        shown = {event["type"]: event["content"] for event in invite["unsigned"]["invite_room_state"]}
        assert shown["m.room.name"] == {"name": "Far away"}
        assert service.asked == [f"GET /_matrix/app/v1/users/{dora}"]

        # It comes, they talk; events of the other server are told like ours.
        ghost = bridge.as_user("_irc_dora")
        await ghost.ok("POST", f"join/{room.replace('!', '%21')}?via={two.name}", json={})
        await bob.send(room, "welcome")
        await service.until(service.bodies)
        await ghost.send(room, "thank you")
        await service.until(lambda: len(service.bodies()) == 2)
        assert service.bodies() == ["welcome", "thank you"]

        # One who does not match is nobody's business, though the pattern would fit a user of the other server.
        other = await two.user("_irc_other")
        elsewhere = await bob.create_room(preset="private_chat", invite=[other.user_id])
        await bob.send(room, "last")
        await service.until(lambda: "last" in service.bodies())
        assert elsewhere not in {event["room_id"] for event in service.events()}
