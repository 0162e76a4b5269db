"""One play: servers, their users, a network, and what all of them do; from a seed."""

from __future__ import annotations

from random import Random

from protocol.errors import ProtocolError
from protocol.events import MEMBER
from protocol.ids import EventID, RoomID
from protocol.room_versions import RoomVersion
from tests.protocol.rooms import Content
from tests.simulation.liar import Liar
from tests.simulation.network import Network
from tests.simulation.server import Server
from tests.simulation.wire import encoded

NAMES = ("one", "two", "three", "four", "five", "six", "seven")
START = 1_700_000_000_000


class World:
    """Three to seven servers, of which some lie; the first, where the room was made, is honest."""

    def __init__(self, version: RoomVersion, seed: int) -> None:
        self.chance = chance = Random(f"{version.id} {seed}")
        self.version = version
        names = NAMES[: chance.choice((3, 3, 4, 4, 5, 7))]
        liars = chance.choice((0, 1, 1, 2)) if len(names) > 3 else chance.choice((0, 1))
        self.network = Network(chance, self._deliver, loss=chance.choice((0.0, 0.1, 0.3)))
        self.servers: dict[str, Server] = {
            name: Server(name, version, self._ask)
            if place < len(names) - liars
            else Liar(name, version, self._ask, Random(chance.random()))
            for place, name in enumerate(names)
        }
        self.users = [f"@{who}:{name}" for name in names for who in ("alice", "bob")[: chance.choice((1, 2))]]
        self.at = START
        self._open()

    @property
    def honest(self) -> list[Server]:
        """The servers that keep the rules."""
        return [server for server in self.servers.values() if not isinstance(server, Liar)]

    def play(self, steps: int) -> None:
        """Everybody does something, while the network is ill; then it gets well."""
        self.network.well = False
        for _ in range(steps):
            self.at += self.chance.choice((0, 1, 1000))
            if self.chance.random() < 0.05:
                self.network.part(self.servers)
            self._act(self.chance.choice(self.users))
            self.network.pass_time()
        self.network.heal()
        self._ask_again()

    def talk(self) -> None:
        """Somebody of each honest server says something, three times over."""
        for _ in range(3):
            for server in filter(self.can_speak, self.honest):
                self._say(server)
                self.network.settle()
                self._ask_again()

    def last_word(self) -> None:
        """The maker, whom nobody can have put out, says something on top of all that honest servers hold to be newest.

        What only one server could place so far may let others place more: then there is more to say.
        """
        first = self.honest[0]
        for _ in range(5):
            newest = {event_id: server for server in self.honest for event_id in server.extremities}
            for event_id, server in newest.items():
                first.receive(encoded(server.events[event_id]), server.name)
            first.stand_on(list(newest))
            self._say(first)
            self.network.settle()
            self._ask_again()
            if all(server.extremities == first.extremities for server in self.honest):
                return

    def can_speak(self, server: Server) -> bool:
        """Is anybody of the server's in the room and allowed to say something?"""
        return any(server.may_speak(user) for user in self.users if user.endswith(f":{server.name}"))

    # ── within ──

    def _open(self) -> None:
        self.network.well = True
        first, maker = self.servers["one"], "@alice:one"
        create: Content = {"room_version": self.version.id}
        if not self.version.implicit_creator:
            create["creator"] = maker
        if not self.version.room_id_is_create_hash:
            first.room_id = RoomID("!room:one")
            for server in self.servers.values():
                server.room_id = first.room_id
        self._send(first, maker, "m.room.create", create, "")
        for server in self.servers.values():
            server.room_id = first.room_id
        self.network.settle()
        self._send(first, maker, MEMBER, {"membership": "join"}, maker)
        levels = {} if self.version.creator_power else {maker: 100}
        for user in self.users:
            if user != maker and self.chance.random() < 0.5:
                levels[user] = self.chance.choice((50, 50, 75, 100))
        self._send(first, maker, "m.room.power_levels", {"users": levels}, "")
        self._send(first, maker, "m.room.join_rules", {"join_rule": "public"}, "")
        self.network.settle()
        for user in self.users:
            if user != maker:
                self._send(self._of(user), user, MEMBER, {"membership": "join"}, user)
                self.network.settle()

    def _of(self, user: str) -> Server:
        return self.servers[user.partition(":")[2]]

    def _act(self, user: str) -> None:
        server = self._of(user)
        if isinstance(server, Liar) and self.chance.random() < 0.7:
            others = [name for name in self.servers if name != server.name]
            self.chance.shuffle(others)
            sides = server.lie(user, self.at)
            for place, name in enumerate(others):
                for pdu in sides[place % len(sides)] if sides else ():
                    self.network.send(server.name, name, pdu)
            return
        try:
            self._send(server, user, *self._something(server, user))
        except ProtocolError:
            return

    def _something(self, server: Server, user: str) -> tuple[str, Content, str | None]:
        chance, word = self.chance, self.chance.random().hex()
        other = chance.choice(self.users[1:])  # the maker stays, and stays in power
        match chance.randrange(9):
            case 0 | 1 | 2:
                return "m.room.message", {"body": word}, None
            case 3:
                return chance.choice(("m.room.topic", "m.room.name")), {"value": word}, ""
            case 4:
                users: dict[str, int] = {}
                current = server.state.get(("m.room.power_levels", ""))
                if current is not None:
                    users = dict(server.events[current].content.get("users", {}))
                users[other] = chance.choice((0, 50, 75))
                return "m.room.power_levels", {"users": users}, ""
            case 5:
                return "m.room.join_rules", {"join_rule": chance.choice(("public", "invite"))}, ""
            case 6:
                return MEMBER, {"membership": chance.choice(("leave", "ban", "invite"))}, other
            case 7 if user != self.users[0]:
                return MEMBER, {"membership": chance.choice(("join", "leave"))}, user
            case _:
                return MEMBER, {"membership": "join", "displayname": word}, user

    def _send(self, server: Server, user: str, event_type: str, content: Content, key: str | None) -> None:
        self.at += 1
        pdu = server.send(user, event_type, content, key, self.at)
        for name in self.servers:
            if name != server.name:
                self.network.send(server.name, name, pdu)

    def _say(self, server: Server) -> None:
        user = next(
            user for user in self.users if user.endswith(f":{server.name}") and server.may_speak(user)
        )
        self._send(server, user, "m.room.message", {"body": "well?"}, None)

    def _ask_again(self) -> None:
        for _ in range(3):
            for server in self.servers.values():
                server.retry()
            self.network.settle()

    def _deliver(self, sender: str, receiver: str, pdu: bytes) -> None:
        self.servers[receiver].receive(pdu, sender)

    def _ask(self, asker: str, asked: str) -> Server | None:
        return self.servers[asked] if asker == asked or self.network.reaches(asker, asked) else None


def ancestors(server: Server, event_ids: list[EventID]) -> set[EventID]:
    """The events and all before them."""
    seen, todo = set[EventID](), list(event_ids)
    while todo:
        event_id = todo.pop()
        if event_id not in seen:
            seen.add(event_id)
            todo += server.events[event_id].prev_events
    return seen
