"""Keys, signatures, and the signatures that events need."""

from typing import Any

import pytest
import signedjson.key
import signedjson.sign

from protocol.errors import BadSignature, InvalidId, ProtocolError
from protocol.events import Event
from protocol.ids import ServerName
from protocol.redaction import redact_event
from protocol.room_versions import V1, V4, V5, V8, V11
from protocol.signing import (
    SigningKey,
    VerifyKey,
    check_event_signatures,
    read_key_file,
    required_signers,
    sign_event,
    sign_json,
    verify_json,
    write_key_file,
)
from protocol.unpadded_base64 import decode_base64, encode_base64, encode_base64_urlsafe
from tests.protocol.rooms import ALICE, BOB, Room, foreign, key_of, signed_by

KEY = key_of("one")
KEYS = {KEY.name: KEY.verify_key}


def test_base64_is_read_with_or_without_padding_in_either_alphabet() -> None:
    data = b"\xfb\xff\xfe\x00"
    assert (encode_base64(data), encode_base64_urlsafe(data)) == ("+//+AA", "-__-AA")
    for text in ("+//+AA", "+//+AA==", "-__-AA", "-__-AA=="):
        assert decode_base64(text) == data
    for wrong in ("a", "ü", "a b c", "AA\n=="):
        with pytest.raises(ValueError):
            decode_base64(wrong)


def test_the_signedjson_package_agrees_about_signatures_and_key_files() -> None:
    theirs = signedjson.key.read_signing_keys([write_key_file(KEY)])[0]
    assert f"{theirs.alg}:{theirs.version}" == KEY.name
    obj: dict[str, Any] = {"b": [1, "ü"], "a": None, "unsigned": {"age": 1}}
    ours = sign_json(obj, "one", KEY)
    assert ours == signedjson.sign.sign_json(dict(obj), "one", theirs)
    verify_json(ours, "one", KEYS)


def test_key_files() -> None:
    assert read_key_file(write_key_file(KEY) + "\n" + write_key_file(KEY)) == [KEY, KEY]
    for wrong in (
        "ed25519 a",
        "rsa a AAAA",
        "ed25519 a !",
        "ed25519 a AAAA",
        "ed25519 a-b " + encode_base64(bytes(32)),
    ):
        with pytest.raises(ProtocolError):
            read_key_file(wrong)


def test_a_key_does_not_show_its_secret() -> None:
    assert encode_base64(KEY.seed) not in repr(KEY)
    assert repr(KEY.seed) not in repr(KEY)
    with pytest.raises(InvalidId):
        SigningKey.from_seed("ed25519:not a name", bytes(32))


def test_signing_keeps_the_signatures_of_others() -> None:
    twice = sign_json(sign_json({"a": 1}, "one", KEY), "two", key_of("two"))
    verify_json(twice, "one", KEYS)
    verify_json(twice, "two", {"ed25519:test": key_of("two").verify_key})


def test_verify_json() -> None:
    signed = sign_json({"a": 1}, "one", KEY)
    verify_json({**signed, "unsigned": {"b": 2}}, "one", KEYS)
    good = signed["signatures"]["one"][KEY.name]
    for wrong in (
        {**signed, "a": 2},
        {"a": 1},
        {**signed, "signatures": "text"},
        {**signed, "signatures": {"one": []}},
        {**signed, "signatures": {"two": signed["signatures"]["one"]}},
        {**signed, "signatures": {"one": {KEY.name: "AAAA"}}},
        {**signed, "signatures": {"one": {KEY.name: 5}}},
        {**signed, "signatures": {"one": {"ed25519:unknown": good}}},
    ):
        with pytest.raises(BadSignature):
            verify_json(wrong, "one", KEYS)
    # One by a key that we do not know does no harm beside a good one.
    verify_json({**signed, "signatures": {"one": {KEY.name: good, "ed25519:unknown": "AAAA"}}}, "one", KEYS)


def test_one_wrong_signature_by_a_known_key_spoils_it() -> None:
    other = SigningKey.from_seed("ed25519:other", bytes(32))
    signed = sign_json(sign_json({"a": 1}, "one", KEY), "one", other)
    signed["signatures"]["one"]["ed25519:other"] = signed["signatures"]["one"][KEY.name]
    with pytest.raises(BadSignature):
        verify_json(signed, "one", {**KEYS, other.name: other.verify_key})


def test_verify_keys_as_published() -> None:
    assert VerifyKey.from_base64(KEY.name, KEY.verify_key.to_base64()) == KEY.verify_key
    for wrong in ("", "AAAA", "!"):
        with pytest.raises(BadSignature):
            VerifyKey.from_base64(KEY.name, wrong)


def _keys(*servers: str, valid_until: int | None = None) -> dict[ServerName, dict[str, VerifyKey]]:
    return {
        ServerName(s): {key_of(s).name: VerifyKey(key_of(s).name, key_of(s).verify_key.key, valid_until)}
        for s in servers
    }


def test_the_senders_server_signs() -> None:
    event = Room.opened(V11).says(ALICE, "a")
    assert required_signers(event) == {"one"}
    check_event_signatures(event, _keys("one"))
    with pytest.raises(BadSignature):
        check_event_signatures(event, _keys("two"))


def test_redacted_events_are_still_signed_but_changed_ones_are_not() -> None:
    event = Room.opened(V11).says(ALICE, "a")
    check_event_signatures(redact_event(event), _keys("one"))
    changed = Event.from_trusted({**event.json, "depth": 9}, event.event_id, V11, event.room_id)
    with pytest.raises(BadSignature):
        check_event_signatures(changed, _keys("one"))


def test_the_server_of_the_event_id_signs_in_old_versions() -> None:
    event = foreign(Room.opened(V1), ALICE, "m.room.message", {}, event_id="$event:two")
    assert required_signers(event) == {"one", "two"}
    with pytest.raises(BadSignature):
        check_event_signatures(event, _keys("one", "two"))
    check_event_signatures(sign_event(event, "two", key_of("two")), _keys("one", "two"))


def test_the_server_that_authorised_a_restricted_join_signs() -> None:
    content = {"membership": "join", "join_authorised_via_users_server": ALICE}
    event = foreign(Room.opened(V8), BOB, "m.room.member", content, BOB)
    assert required_signers(event) == {"one", "two"}
    assert required_signers(foreign(Room.opened(V5), BOB, "m.room.member", content, BOB)) == {"two"}
    with pytest.raises(BadSignature):
        check_event_signatures(event, _keys("one", "two"))
    check_event_signatures(sign_event(event, "one", KEY), _keys("one", "two"))


def test_a_third_party_invite_needs_no_signature_of_its_senders_server() -> None:
    content = {"membership": "invite", "third_party_invite": {"signed": {}}}
    assert required_signers(foreign(Room.opened(V11), ALICE, "m.room.member", content, BOB)) == set()


def test_keys_must_have_been_valid_since_version_5() -> None:
    for version, enforced in ((V4, False), (V5, True)):
        event = Room.opened(version).says(ALICE, "a")
        check_event_signatures(event, _keys("one", valid_until=event.origin_server_ts))
        outdated = _keys("one", valid_until=event.origin_server_ts - 1)
        if enforced:
            with pytest.raises(BadSignature):
                check_event_signatures(event, outdated)
        else:
            check_event_signatures(event, outdated)


def test_senders_that_name_no_server_are_an_error_of_ours() -> None:
    json = signed_by({**Room.opened(V11).says(ALICE, "a").json, "sender": "@nobody"}, "one", V11)
    event = Event.from_trusted(json, Room(V11).create.event_id, V11, Room(V11).create.room_id)
    with pytest.raises(BadSignature):
        check_event_signatures(event, _keys("one"))
