"""Requests that were valid, and are spoilt in one to three things."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote

from hypothesis import strategies as st

from federation.client.request import signed_object
from protocol.errors import ProtocolError
from protocol.hashes import content_hash, event_id, signed_bytes
from protocol.json import canonical_lenient, parse_exact
from protocol.room_versions import RoomVersion
from protocol.unpadded_base64 import encode_base64
from tests.federation.fuzz.junk import (
    BODIES,
    NUMBERS,
    TEXTS,
    VALUES,
    at_place,
    places,
    replaced,
    without,
    written,
)
from tests.federation.fuzz.valid import Valid
from tests.fixtures.lying_server import LyingServer

HEADERS = (
    "",
    "X-Matrix",
    "X-Matrix ",
    "Bearer {sig}",
    'X-Matrix origin="{origin}"',
    'X-Matrix origin="{origin}",destination="{to}",key="{key}",sig=""',
    'X-Matrix origin="{origin}",destination="{to}",key="{key}",sig="é"',
    'X-Matrix origin="{origin}",destination="{to}",key="{key}",sig="AAAA"',
    'X-Matrix origin="{origin}",destination="elsewhere.example",key="{key}",sig="{sig}"',
    'X-Matrix origin="{to}",destination="{to}",key="{key}",sig="{sig}"',
    'X-Matrix origin="nowhere.example",destination="{to}",key="{key}",sig="{sig}"',
    'X-Matrix origin="{origin}",destination="{to}",key="ed25519:other",sig="{sig}"',
    'X-Matrix origin="{origin}",destination="{to}",key="rsa:1",sig="{sig}"',
    'X-Matrix origin="{origin}",destination="{to}",key="{key}",sig="{sig}",sig="{sig}"',
    'x-matrix   origin={origin} , destination="{to}",KEY="{key}", sig="{sig}",more="x"',
    'X-Matrix origin="{origin}\\\\",destination="{to}",key="{key}",sig="{sig}"',
    'X-Matrix origin="[::1]:99999",destination="{to}",key="{key}",sig="{sig}"',
    "X-Matrix " + "a=b," * 2000,
    "X-Matrix " + "=" * 500,
    'X-Matrix origin="' + "\\\\" * 1500,
)


@dataclass(frozen=True)
class Spoil:
    """One thing that is done to a request: `at` says where, when there are several places."""

    what: str
    at: int
    value: Any


_KINDS: dict[str, st.SearchStrategy[Any]] = {
    "path": TEXTS,
    "query": st.one_of(TEXTS, NUMBERS.map(str)),
    "query twice": TEXTS,
    "query away": st.none(),
    "query added": st.tuples(st.sampled_from(["limit", "ver", "omit_members", "ts", "x"]), TEXTS),
    "query bytes": st.sampled_from(["%FF", "%", "%ZZ", "&&=&", "%00", "=".join("x" * 50), "+", ";", "?"]),
    "member": VALUES,
    "member away": st.none(),
    "member twice": st.none(),
    "body": BODIES,
    "event": VALUES,
    "event away": st.none(),
    "header": st.sampled_from(HEADERS),
    "header twice": st.none(),
    "method": st.sampled_from(["GET", "PUT", "POST", "DELETE", "HEAD", "PATCH", "OPTIONS"]),
    "type": st.sampled_from(
        ["text/plain", "", "application/json; charset=utf-16", "multipart/form-data", "x"]
    ),
}
_USUAL = ["member", "member", "member", "event", "event", "event", "path", "query", *_KINDS]
SPOILS = st.lists(
    st.sampled_from(_USUAL).flatmap(
        lambda what: st.builds(Spoil, st.just(what), st.integers(0, 10_000), _KINDS[what])
    ),
    min_size=1,
    max_size=3,
)


@dataclass(frozen=True)
class Sent:
    """What goes out."""

    method: str
    path: str
    valid: Valid
    raw: bytes | None = None
    doubled: bool = False
    header: str | None = None
    headers: int = 1
    content_type: str = "application/json"
    tail: str = ""
    version: RoomVersion | None = field(default=None, repr=False)

    @property
    def target(self) -> str:
        """Path and query."""
        path = self.path
        for name, value in self.valid.values.items():
            path = path.replace(f"{{{name}}}", _quoted(value))
        query = "&".join(f"{_quoted(name)}={_quoted(value)}" for name, value in self.valid.query)
        query += self.tail
        return f"{path}?{query}" if query else path

    @property
    def body(self) -> bytes | None:
        """The bytes of the body."""
        if self.raw is not None or self.valid.body is None:
            return self.raw
        return written(self.valid.body, doubled=self.doubled)

    def authorization(self, liar: LyingServer, to: str) -> str:
        """The header, with a signature that is good where there can be a good one."""
        try:
            content = canonical_lenient(parse_exact(self.body)) if self.body else None
        except ProtocolError:
            content = None
        signature = liar.key.sign(signed_object(self.method, self.target, liar.name, to, content))
        form = self.header
        if form is None:
            form = 'X-Matrix origin="{origin}",destination="{to}",key="{key}",sig="{sig}"'
        for name, value in {"origin": liar.name, "to": to, "key": liar.key.name, "sig": signature}.items():
            form = form.replace(f"{{{name}}}", value)
        return form


def spoilt(sent: Sent, spoil: Spoil, liar: LyingServer) -> Sent:
    """The request with this done to it; as it was where it has nothing of the kind."""
    return _DOES[spoil.what](sent, spoil, liar)


def _quoted(text: str) -> str:
    return quote(text.encode("utf-8", "surrogatepass")[:20_000], safe="")


def _path(sent: Sent, spoil: Spoil, _: LyingServer) -> Sent:
    names = list(sent.valid.values)
    if not names:
        return sent
    values = {**sent.valid.values, names[spoil.at % len(names)]: spoil.value or "x"}
    return replace(sent, valid=replace(sent.valid, values=values))


def _query(sent: Sent, spoil: Spoil, _: LyingServer) -> Sent:
    query = list(sent.valid.query)
    at = spoil.at % len(query) if query else 0
    match spoil.what:
        case "query added":
            query.append(spoil.value)
        case _ if not query:
            return sent
        case "query":
            query[at] = (query[at][0], spoil.value)
        case "query twice":
            query.append((query[at][0], spoil.value))
        case _:
            del query[at]
    return replace(sent, valid=replace(sent.valid, query=query))


def _member(sent: Sent, spoil: Spoil, _: LyingServer) -> Sent:
    body = sent.valid.body
    if body is None:
        return sent
    ways = places(body)
    way = ways[spoil.at % len(ways)]
    body = without(body, way) if spoil.what == "member away" else replaced(body, way, spoil.value)
    return replace(sent, valid=replace(sent.valid, body=body))


def _event(sent: Sent, spoil: Spoil, liar: LyingServer) -> Sent:
    """Something in the event is another, and the event is hashed and signed as what it is then."""
    valid = sent.valid
    try:
        pdu = at_place(valid.body, valid.pdu) if valid.pdu is not None and valid.body is not None else None
    except (KeyError, IndexError, TypeError):
        pdu = None
    if not isinstance(pdu, dict) or sent.version is None or len(pdu) < 2:
        return sent
    ways = [way for way in places(pdu) if way and way[0] not in ("hashes", "signatures", "unsigned")]
    if not ways:
        return sent
    way = ways[spoil.at % len(ways)]
    pdu = without(pdu, way) if spoil.what == "event away" else replaced(pdu, way, spoil.value)
    pdu, name = resigned(pdu, sent.version, liar)
    known = isinstance(name, str) and "eventId" in valid.values
    values = {**valid.values, "eventId": str(name)} if known else valid.values
    return replace(sent, valid=replace(valid, body=replaced(valid.body, valid.pdu or (), pdu), values=values))


def resigned(pdu: dict[str, Any], version: RoomVersion, liar: LyingServer) -> tuple[dict[str, Any], object]:
    """The event with good hash and signature, and its ID; as it is where it cannot have these."""
    try:
        bare = {name: value for name, value in pdu.items() if name not in ("hashes", "signatures")}
        bare = parse_exact(written(bare))
        bare["hashes"] = {"sha256": encode_base64(content_hash(bare))}
        signature = liar.key.sign(signed_bytes(bare, version))
        return {**bare, "signatures": {liar.name: {liar.key.name: signature}}}, event_id(bare, version)
    except (ProtocolError, KeyError, TypeError, AttributeError):
        return pdu, None


_DOES: dict[str, Callable[[Sent, Spoil, LyingServer], Sent]] = {
    "path": _path,
    **dict.fromkeys(("query", "query twice", "query away", "query added"), _query),
    "query bytes": lambda sent, spoil, _: replace(sent, tail=f"&{spoil.value}"),
    **dict.fromkeys(("member", "member away"), _member),
    "member twice": lambda sent, _, __: replace(sent, doubled=True),
    "body": lambda sent, spoil, _: replace(sent, raw=spoil.value),
    **dict.fromkeys(("event", "event away"), _event),
    "header": lambda sent, spoil, _: replace(sent, header=spoil.value),
    "header twice": lambda sent, _, __: replace(sent, headers=2),
    "method": lambda sent, spoil, _: replace(sent, method=spoil.value),
    "type": lambda sent, spoil, _: replace(sent, content_type=spoil.value),
}
