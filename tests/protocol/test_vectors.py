"""The vectors of the specification's appendices, and the forked rooms that another server resolved."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from protocol.errors import NotCanonical
from protocol.events import CREATE, Event
from protocol.hashes import content_hash, signed_bytes
from protocol.ids import EventID
from protocol.json import canonical, canonical_lenient, parse
from protocol.room_versions import version_named
from protocol.signing import SigningKey, sign_json, verify_json
from protocol.state_res import resolve, resolve_with_auth_difference
from protocol.state_res.conflicts import auth_difference_of, conflicted_subgraph, separate
from protocol.unpadded_base64 import decode_base64, encode_base64
from tests.spec_location import spec_path


def _vectors() -> Any:
    return json.loads(spec_path("test-vectors.json").read_text(encoding="utf-8"))


def test_canonical_json() -> None:
    for vector in _vectors()["canonical_json"]:
        value = parse(vector["input_text"].encode())
        if "note" in vector:  # a float, which is an error since room version 6
            with pytest.raises(NotCanonical):
                canonical(value)
        else:
            assert canonical(value).decode() == vector["canonical"]
            assert canonical_lenient(value).decode() == vector["canonical"]


def _key() -> tuple[SigningKey, str]:
    signing = _vectors()["signing"]
    return SigningKey.from_seed(signing["key_id"], decode_base64(signing["seed"])), signing["server_name"]


def test_signing_json() -> None:
    key, server = _key()
    for vector in _vectors()["signing"]["json"]:
        signed = sign_json(vector["input"], server, key)
        assert signed["signatures"] == {server: {key.name: vector["signature"]}}
        verify_json(signed, server, {key.name: key.verify_key})


def test_hashing_and_signing_events() -> None:
    key, _ = _key()
    for vector in _vectors()["signing"]["events"]:
        event, version = vector["input"], version_named(vector["room_version"])
        assert encode_base64(content_hash(event)) == vector["content_hash"]
        hashed = {**event, "hashes": {"sha256": vector["content_hash"]}}
        assert key.sign(signed_bytes(hashed, version)) == vector["signature"]


def _rooms() -> Iterator[Any]:
    yield from json.loads(spec_path("state-res-vectors.json").read_text(encoding="utf-8"))["cases"]


def _events_of(case: Any) -> dict[EventID, Event]:
    version = version_named(case["room_version"])
    return {
        json["event_id"]: Event.from_trusted(
            json if json["type"] == CREATE else {**json, "room_id": case["room_id"]},
            json["event_id"],
            version,
            case["room_id"],
        )
        for json in case["events"]
    }


def test_state_resolution() -> None:
    for number, case in enumerate(_rooms()):
        version, events = version_named(case["room_version"]), _events_of(case)
        sets = [{(t, k): EventID(e) for t, k, e in state} for state in case["state_sets"]]
        expected = {(t, k): e for t, k, e in case["expected"]}
        assert resolve(version, sets, events) == expected, f"case {number}"

        unconflicted, conflicted = separate(sets)
        difference = auth_difference_of(sets, unconflicted, events) | (
            conflicted_subgraph(conflicted, events) if version.creator_power else set()
        )
        assert resolve_with_auth_difference(version, sets, difference, events) == expected, f"case {number}"
