"""Properly signed nonsense: whatever a server of the room sends, we answer 200, have no error, and stay in one piece."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from protocol import build
from protocol.errors import ProtocolError
from protocol.events import Event, StateKey
from tests.client_api.stored import path
from tests.federation.scene import Scene, set_the_scene
from tests.federation.stranger import View
from tests.fixtures.federation import MakeFederated, MakeLying

JUNK: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 5, 2**53 - 1, "", "a", "@x:y", "!r:z", "$e", "x" * 300, "é" * 200),
    *(
        [],
        [1],
        ["$e"],
        {},
        {"a": 1},
        {"users": {"@a:b": "x"}},
        [[["deep"]]],
        "join",
        "leave",
        "ban",
        "invite",
    ),
    *("knock", "public", "restricted", "joined", {"rel_type": "m.thread", "event_id": "$x"}),
    {"rel_type": "m.annotation", "event_id": "$y", "key": "k" * 400},
)
TYPES = (
    *("m.room.message", "m.room.member", "m.room.power_levels", "m.room.join_rules", "m.room.redaction"),
    *("m.room.create", "m.room.history_visibility", "m.room.server_acl", "m.room.third_party_invite"),
    *("m.room.aliases", "m.room.policy", "m.room.topic", "m.space.child", "m.reaction", "x.y", ""),
)
CONTENT = (
    *(
        "membership",
        "users",
        "events",
        "users_default",
        "redact",
        "ban",
        "join_rule",
        "allow",
        "deny",
        "redacts",
    ),
    *("m.relates_to", "m.mentions", "body", "displayname", "third_party_invite", "history_visibility", "via"),
    *("join_authorised_via_users_server", "public_keys", "url", "room_version", "creator"),
)


class Fuzz:
    """Makes events from a seed, on whatever it has made before."""

    def __init__(self, scene: Scene, view: View, seed: str) -> None:
        self.scene, self.random = scene, random.Random(seed)
        self.views = [view]
        self.known: list[Event] = list(view.state.values())

    def pdus(self, count: int) -> list[Any]:
        """So many PDUs, some of which do not even have the format of events."""
        made = [json for _ in range(count) for json in self._pdu()]
        self.views = self.views[-8:]
        return made

    def _pdu(self) -> list[Any]:
        pick = self.random
        view = pick.choice(self.views)
        values = (*JUNK, self.scene.eve, self.scene.alice.user_id, pick.choice(self.known).event_id)
        content = {pick.choice(CONTENT): pick.choice(values) for _ in range(pick.randrange(4))}
        state_key = pick.choice((None, None, "", self.scene.eve, self.scene.alice.user_id, "@b:c", "x" * 255))
        more: dict[str, Any] = {}
        if pick.random() < 0.2:
            more["depth"] = pick.choice((0, 1, 2**53 - 1))
        if pick.random() < 0.1:
            more["auth_events"] = pick.sample(self.known, min(len(self.known), pick.randrange(8)))
        if pick.random() < 0.1:
            more["prev_events"] = pick.sample(self.known, min(len(self.known), pick.randrange(5)))
        if pick.random() < 0.1:
            more["redacts"] = pick.choice(self.known).event_id
        try:
            event = self.scene.says(view, pick.choice(TYPES), content, state_key, **more)
        except ProtocolError:
            return []
        self.known.append(event)
        self.views.append(view.with_event(event))
        if pick.random() < 0.1:
            return [event.json, {**event.json, pick.choice(list(event.json)): pick.choice(JUNK)}]
        return [event.json]


async def _both_states(scene: Scene) -> tuple[dict[StateKey, str], dict[StateKey, str]]:
    """The current state as readers have it, and that of the head; read while nothing of what was sent was being placed."""
    async with asyncio.timeout(60):
        before = None
        while True:
            async with scene.one.tenant.database.read() as tx:
                rows = await tx.fetch("SELECT * FROM current_state WHERE room_id = $1", scene.room_id)
            now = {key: str(event.event_id) for key, event in (await scene.now()).state.items()}
            current = {(row["type"], row["state_key"]): row["event_id"] for row in rows}
            if (current, now) == before:
                return current, now
            before = current, now


@pytest.mark.parametrize("version", ["1", "5", "11", "12"])
async def test_nonsense_that_is_properly_signed(
    make_federated: MakeFederated, make_lying: MakeLying, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "_check_draft", lambda _: None)  # others do not ask what clients may send
    scene = await set_the_scene(make_federated, make_lying, version)
    users = {scene.eve: 100} | ({} if version == "12" else {scene.alice.user_id: 100})
    await scene.alice.set_state(scene.room_id, "m.room.power_levels", {"users": users})
    fuzz = Fuzz(scene, await scene.now(), version)
    for number in range(8):
        status, said = await scene.liar.transaction(scene.one, fuzz.pdus(25)[:50])
        assert status == 200, said
        status, _ = await scene.alice.put(
            path(scene.room_id, "send", "m.room.message", str(number)), {"body": ""}
        )
        assert status in (200, 403)  # the nonsense may have done something to Alice
        fuzz.views.append(await scene.now())
    await scene.alice.sync()
    current, there_now = await _both_states(scene)
    assert current == there_now
