"""An identity server, as far as homeservers ask one: it knows addresses, keeps invites, and may say anything."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from protocol.signing import SigningKey
from protocol.unpadded_base64 import encode_base64_urlsafe
from tests.fixtures.lying_server import Asked, LyingServer

API = "/_matrix/identity/v2"
PEPPER = "matrixrocks"
TOKEN = "token of alice"
KEY = SigningKey.from_seed("ed25519:0", b"I" * 32)


def lookup_hash(medium: str, address: str) -> str:
    """What is looked up instead of the address."""
    return encode_base64_urlsafe(sha256(f"{address} {medium} {PEPPER}".encode()).digest())


@dataclass
class Identity:
    """`users` are whom it knows, by address; `invites` what it has kept."""

    server: LyingServer
    users: dict[str, str] = field(default_factory=dict)
    invites: list[dict[str, Any]] = field(default_factory=list)
    unbound: list[Asked] = field(default_factory=list)

    def __post_init__(self) -> None:
        details = {"lookup_pepper": PEPPER, "algorithms": ["none", "sha256"]}
        self.server.on("GET", f"{API}/hash_details", self._let_in(lambda _: details))
        self.server.on("POST", f"{API}/lookup", self._let_in(self._lookup))
        self.server.on("POST", f"{API}/store-invite", self._let_in(self._store))
        self.server.on("POST", f"{API}/3pid/bind", self._let_in(self._bind))
        self.server.on("POST", f"{API}/3pid/unbind", self._unbind)
        self.server.on("GET", "/valid", lambda _: {"valid": True})

    @property
    def name(self) -> str:
        """Its host and port."""
        return self.server.name

    def _let_in(self, script: Any) -> Any:
        def answer(asked: Asked) -> Any:
            if asked.headers.get("Authorization") != f"Bearer {TOKEN}":
                return 401, {"errcode": "M_UNKNOWN_TOKEN", "error": "who are you?"}
            return script(asked)

        return answer

    def _lookup(self, asked: Asked) -> Any:
        known = {lookup_hash("email", address): user_id for address, user_id in self.users.items()}
        assert asked.json["algorithm"] == "sha256"
        assert asked.json["pepper"] == PEPPER
        return {"mappings": {hashed: known[hashed] for hashed in asked.json["addresses"] if hashed in known}}

    def _store(self, asked: Asked) -> Any:
        self.invites.append(asked.json)
        keys = [{"public_key": KEY.verify_key.to_base64(), "key_validity_url": f"https://{self.name}/valid"}]
        return {"token": f"invite{len(self.invites)}", "public_keys": keys, "display_name": "b...@e..."}

    def _bind(self, asked: Asked) -> Any:
        if asked.json["sid"] != "validated":
            return 400, {"errcode": "M_SESSION_NOT_VALIDATED", "error": "not yet"}
        self.users["alice@example.org"] = asked.json["mxid"]
        return {"medium": "email", "address": "alice@example.org", "mxid": asked.json["mxid"]}

    def _unbind(self, asked: Asked) -> Any:
        self.unbound.append(asked)
        self.users.pop(asked.json["threepid"]["address"], None)
        return {}
