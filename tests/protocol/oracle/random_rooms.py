"""Rooms in which people do at random what people, and servers that mind no rules, do."""

from random import Random
from typing import Any

from protocol.auth.rules import check_auth
from protocol.errors import Rejected
from protocol.events import CREATE, Event
from protocol.room_versions import RoomVersion
from protocol.signing import sign_json
from tests.protocol.rooms import ALICE, BOB, CAROL, Room, foreign, key_of

DAVE = "@dave:three"
USERS = (ALICE, BOB, CAROL, DAVE, "@erin:one")
JOIN_RULES = ("public", "invite", "knock", "restricted", "knock_restricted", "private", "nonsense")
MEMBERSHIPS = ("join", "invite", "leave", "ban", "knock", "nonsense")
NAMED = ("ban", "kick", "redact", "invite", "state_default", "events_default", "users_default")
TYPES = (
    "m.room.message",
    "m.room.topic",
    "m.room.name",
    "m.room.redaction",
    "m.room.aliases",
    "m.room.tombstone",
)


class RandomRoom:
    """A room, and a source of chance that says what happens in it next."""

    def __init__(self, version: RoomVersion, seed: int, *, sane: bool = False) -> None:
        self.chance = Random(f"{version.id} {seed}")
        self.version, self.sane = version, sane
        self.room = Room(version, **self._create_content())
        self.room.member(ALICE, "join")
        if self.chance.random() < 0.8:
            self._try_levels()

    def _create_content(self) -> dict[str, Any]:
        content: dict[str, Any] = {}
        if not self.sane and self.chance.random() < 0.2:
            content["m.federate"] = self.chance.choice((True, False, False, "nonsense", None, 1, 0))
        if self.version.creator_power and self.chance.random() < 0.5:
            content["additional_creators"] = self.chance.sample(USERS[1:], self.chance.randint(0, 2))
        return content

    def _try_levels(self) -> None:
        users = {} if self.version.creator_power else {ALICE: 100}
        event = foreign(self.room, ALICE, "m.room.power_levels", {"users": users}, "")
        self.room.accept(event)

    def proposal(self) -> Event:
        """What somebody would now like to happen; often it is not allowed."""
        roll = self.chance.random()
        if roll < 0.45:
            return self._membership()
        if roll < 0.5:
            return self._third_party_invite()
        if roll < 0.65:
            return self._power_levels()
        if roll < 0.75:
            rule = self.chance.choice(JOIN_RULES)
            content = {"join_rule": rule, "allow": []}
            return foreign(self.room, self._user(0.5), "m.room.join_rules", content, "")
        return self._other()

    def accept_if_allowed(self, event: Event) -> None:
        """Let it happen, if our rules allow it."""
        try:
            check_auth(self.version, event, self.room.state)
        except Rejected:
            return
        self.room.append(event)

    def _user(self, alice: float = 0.3) -> str:
        return ALICE if self.chance.random() < alice else self.chance.choice(USERS)

    def _membership(self) -> Event:
        sender = self._user()
        membership = self.chance.choice(MEMBERSHIPS[:5] if self.sane else MEMBERSHIPS)
        own = membership in ("join", "knock") or self.chance.random() < 0.3
        target = sender if own and self.chance.random() < 0.95 else self.chance.choice(USERS)
        content: dict[str, Any] = {"membership": membership}
        if self.chance.random() < 0.3 and membership == "join":
            same_server = [user for user in USERS if user.split(":")[1] == sender.split(":")[1]]
            anyone = not self.sane and self.chance.random() < 0.3
            content["join_authorised_via_users_server"] = self.chance.choice(USERS if anyone else same_server)
        return foreign(self.room, sender, "m.room.member", content, target)

    def _third_party_invite(self) -> Event:
        """One of its two steps: the pledge, or the invite that redeems it, with a mistake now and then."""
        token, server = (
            self.chance.choice(("t1", "t2")),
            self.chance.choice(("identity", "identity", "stranger")),
        )
        sender, target = self._user(0.6), self.chance.choice(USERS)
        if self.chance.random() < 0.5:
            public_key = key_of("identity").verify_key.to_base64()
            keys: dict[str, Any] = {"public_key": public_key}
            if self.chance.random() < 0.5:
                keys = {
                    "public_key": key_of("forger").verify_key.to_base64(),
                    "public_keys": [{"public_key": public_key}],
                }
            return foreign(self.room, sender, "m.room.third_party_invite", keys, token)
        signed: Any = sign_json({"mxid": target, "token": token}, "identity", key_of(server))
        if not self.sane and self.chance.random() < 0.2:
            signed.pop(self.chance.choice(("mxid", "token", "signatures")))
        content = {"membership": "invite", "third_party_invite": {"signed": signed}}
        return foreign(self.room, sender, "m.room.member", content, target)

    def _power_levels(self) -> Event:
        now = self.room.state.get(("m.room.power_levels", ""))
        content: dict[str, Any] = dict(now.content) if now and self.chance.random() < 0.8 else {}
        for _ in range(self.chance.randint(1, 2)):
            self._change(content)
        return foreign(self.room, self._user(0.5), "m.room.power_levels", content, "")

    def _change(self, content: dict[str, Any]) -> None:
        roll = self.chance.random()
        if roll < 0.4:
            content["users"] = self._changed_table(content.get("users"), USERS)
        elif roll < 0.6:
            content["events"] = self._changed_table(content.get("events"), TYPES)
        elif roll < 0.7:
            content["notifications"] = self._changed_table(content.get("notifications"), ("room", "other"))
        else:
            name = self.chance.choice(NAMED)
            if self.chance.random() < 0.2:
                content.pop(name, None)
            else:
                content[name] = self._level()

    def _changed_table(self, table: Any, names: tuple[str, ...]) -> Any:
        if not self.sane and self.chance.random() < 0.05:
            return self.chance.choice(("nonsense", [], 5, None))
        changed = dict(table) if isinstance(table, dict) else {}
        name = self.chance.choice(names)
        if self.chance.random() < 0.2:
            changed.pop(name, None)
        else:
            changed[name] = self._level()
        return changed

    def _level(self) -> Any:
        level = self.chance.choice((0, 10, 49, 50, 51, 99, 100, 101))
        if self.sane or self.chance.random() < 0.8:
            return level
        strange = [str(level), f" +{level} ", "nonsense", "5.0", None]
        if not self.version.strict_canonical_json:
            strange.append(level + 0.7)
        return self.chance.choice(strange)

    def _other(self) -> Event:
        sender = self._user()
        event_type = self.chance.choice(TYPES)
        content: dict[str, Any] = {"body": "hello"}
        fields: dict[str, Any] = {}
        state_key = None
        if event_type == "m.room.redaction":
            target = self.chance.choice(list(self.room.events))
            (content if self.version.redacts_in_content else fields)["redacts"] = target
        elif event_type != "m.room.message":
            state_key = self.chance.choice(("", "", "one", "two", "key", *USERS))
        return foreign(self.room, sender, event_type, content, state_key, **fields)


def another_create(room: Room, chance: Random) -> Event:
    """A create event with this or that mistake."""
    version = room.version
    content: dict[str, Any] = {"room_version": chance.choice((version.id, version.id, "nonsense"))}
    if chance.random() < 0.7:
        content["creator"] = ALICE
    if chance.random() < 0.5:
        content["additional_creators"] = chance.choice(([BOB], [], "nonsense", [5], ["bob"], [BOB, "@x"]))
    fields: dict[str, Any] = {"prev_events": [], "auth_events": [], "depth": 1}
    if chance.random() < 0.2:
        fields["prev_events"] = [["$x:y", {}]] if version.event_id_names_server else ["$x"]
    elif not version.room_id_is_create_hash and chance.random() < 0.3:
        fields["room_id"] = "!another:two"
    return foreign(room, ALICE, CREATE, content, "", **fields)
