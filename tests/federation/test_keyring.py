"""The keys of servers: fetched, checked, kept; from the servers themselves or from notaries."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any

import pytest

from homeserver.keys import old_keys, rotate, signing_key
from protocol.ids import ServerName
from protocol.json import JsonObject
from protocol.signing import SigningKey, VerifyKey, sign_json, verify_json
from services.settings import DAY, HOUR, MINUTE, SECOND
from tests.fixtures.federation import MakeFederated, MakeLying
from tests.fixtures.homeserver import Homeserver
from tests.fixtures.lying_server import LyingServer
from tests.fixtures.time import FakeClock, FakeRandom

KEYS = "/_matrix/key/v2/server"
QUERY = "/_matrix/key/v2/query"
NEW = SigningKey.from_seed("ed25519:new", b"N" * 32)


@pytest.fixture
def clock() -> FakeClock:
    """Everybody's clock."""
    return FakeClock()


@pytest.fixture
async def one(make_federated: MakeFederated, clock: FakeClock) -> Homeserver:
    """Who looks for keys."""
    return await make_federated(clock=clock)


@pytest.fixture
async def other(make_lying: MakeLying, clock: FakeClock) -> LyingServer:
    """Whose keys."""
    return await make_lying(clock=clock)


async def found(one: Homeserver, server: str, key: str = "ed25519:liar", until: int = 0) -> VerifyKey | None:
    """The key, where it can be had."""
    keys = await one.tenant.remotes.verify_keys({ServerName(server): {key: until}})
    return keys.get(ServerName(server), {}).get(key)


async def test_a_key_is_asked_for_once_and_kept_over_a_restart(
    one: Homeserver, other: LyingServer, make_federated: MakeFederated, clock: FakeClock
) -> None:
    key = await found(one, other.name)
    assert key is not None
    assert (key.key, key.valid_until) == (other.key.verify_key.key, clock.now() + DAY)
    assert await found(one, other.name) == key
    second = await make_federated(beside=one, clock=clock)
    assert await found(second, other.name) == key
    assert other.times_asked(KEYS) == 1


async def test_a_key_is_asked_for_again_when_it_must_be_good_for_longer(
    one: Homeserver, other: LyingServer, clock: FakeClock
) -> None:
    await found(one, other.name)
    clock.advance(DAY - HOUR)
    key = await found(one, other.name, until=clock.now() + 2 * HOUR)
    assert key is not None
    assert key.valid_until == clock.now() + DAY
    assert other.times_asked(KEYS) == 2


async def test_no_key_is_good_for_more_than_a_week(
    one: Homeserver, other: LyingServer, clock: FakeClock
) -> None:
    other.on("GET", KEYS, lambda _: other.key_object(valid_until_ts=clock.now() + 400 * DAY))
    key = await found(one, other.name)
    assert key is not None
    assert key.valid_until == clock.now() + 7 * DAY


async def test_old_keys_are_good_until_they_expired_and_are_kept_when_they_vanish(
    one: Homeserver, other: LyingServer, clock: FakeClock
) -> None:
    assert await found(one, other.name) is not None
    clock.advance(HOUR)
    old, other.key = other.key, NEW
    expired = clock.now() - MINUTE
    retired = {old.name: {"key": old.verify_key.to_base64(), "expired_ts": expired}}
    other.on("GET", KEYS, lambda _: other.key_object(old_verify_keys=retired))
    assert await found(one, other.name, NEW.name) is not None
    key = await found(one, other.name, old.name)
    assert key is not None
    assert key.valid_until == expired

    clock.advance(DAY)
    other.on("GET", KEYS, lambda _: other.key_object())
    assert await found(one, other.name, NEW.name, clock.now()) is not None
    assert await found(one, other.name, old.name) == key


def twisted(other: LyingServer, kind: str) -> Any:
    """A key object with something wrong about it."""
    stranger = SigningKey.from_seed("ed25519:stranger", b"S" * 32)
    honest = other.key_object()
    unsigned = {key: value for key, value in honest.items() if key != "signatures"}
    return {
        "unsigned": unsigned,
        "of another server": other.key_object(server_name="elsewhere.example"),
        "signed by a key that it does not publish": sign_json(unsigned, other.name, stranger),
        "changed afterwards": {**honest, "valid_until_ts": honest["valid_until_ts"] + 1},
        "without keys": other.key_object(verify_keys={}),
        "without an end": other.key_object(valid_until_ts=None),
        "with a text for an end": other.key_object(valid_until_ts="9999"),
        "with a broken key": other.key_object(verify_keys={"ed25519:liar": {"key": "AAAA"}}),
        "with a flood of keys": other.key_object(
            old_verify_keys={
                f"ed25519:{n}": {"key": other.key.verify_key.to_base64(), "expired_ts": 1} for n in range(200)
            }
        ),
        "endless": other.key_object(more="x" * 20_000),
        "a list": [honest],
        "nothing": None,
    }[kind]


@pytest.mark.parametrize(
    "kind",
    [
        "unsigned", "of another server", "signed by a key that it does not publish", "changed afterwards", "without keys",
        "without an end", "with a text for an end", "with a broken key", "with a flood of keys", "endless", "a list", "nothing",
    ],
)  # fmt: skip
async def test_objects_that_are_not_as_they_should_be_are_not_believed(
    one: Homeserver, make_lying: MakeLying, kind: str
) -> None:
    other = await make_lying()
    said = twisted(other, kind)
    other.on("GET", KEYS, lambda _: said)
    assert await found(one, other.name) is None
    assert other.times_asked(KEYS) == 1


async def test_a_server_that_fails_is_left_alone_for_longer_each_time(
    one: Homeserver, other: LyingServer, clock: FakeClock
) -> None:
    other.on("GET", KEYS, lambda _: (500, {}))
    asked_at = []
    for _ in range(30 * MINUTE // (10 * SECOND)):
        before = other.times_asked(KEYS)
        await found(one, other.name)
        if other.times_asked(KEYS) > before:
            asked_at.append(clock.now())
        clock.advance(10 * SECOND)
    pauses = [b - a for a, b in pairwise(asked_at)]
    assert pauses == sorted(pauses)
    assert pauses[-1] == 5 * MINUTE
    other.on("GET", KEYS, lambda _: other.key_object())
    clock.advance(5 * MINUTE)
    assert await found(one, other.name) is not None


async def test_unknown_key_ids_do_not_make_us_ask_again_and_again(
    one: Homeserver, other: LyingServer, clock: FakeClock
) -> None:
    for number in range(20):
        assert await found(one, other.name, f"ed25519:guess{number}") is None
    assert other.times_asked(KEYS) == 1


async def test_who_asks_at_the_same_time_shares_one_question(one: Homeserver, other: LyingServer) -> None:
    keys = await asyncio.gather(*(found(one, other.name, until=number) for number in range(20)))
    assert None not in keys
    assert other.times_asked(KEYS) == 1


async def test_our_own_keys_are_known(one: Homeserver) -> None:
    key = await found(one, one.name, one.tenant.signing_key.name)
    assert key == one.tenant.signing_key.verify_key


# -- notaries


def knows(notary: LyingServer, *objects: JsonObject) -> None:
    """The notary answers with these objects, signed by itself too."""
    signed = [sign_json(published, notary.name, notary.key) for published in objects]
    notary.on("POST", QUERY, lambda _: {"server_keys": signed})


async def test_a_notary_is_asked_once_for_all_who_are_silent(
    make_federated: MakeFederated, make_lying: MakeLying, clock: FakeClock
) -> None:
    notary = await make_lying(clock=clock)
    one = await make_federated(clock=clock, federation={"notaries": (notary.name,)})
    gone = [await make_lying(clock=clock) for _ in range(3)]
    knows(notary, *(server.key_object() for server in gone[:2]))
    for server in gone:
        server.on("GET", KEYS, lambda _: (503, {}))
    wanted = {ServerName(server.name): {"ed25519:liar": 7} for server in gone}
    keys = await one.tenant.remotes.verify_keys(wanted)
    assert [bool(keys.get(ServerName(server.name))) for server in gone] == [True, True, False]
    asked = [asked.json for asked in notary.asked if asked.path == QUERY]
    assert len(asked) == 1
    assert asked[0]["server_keys"][gone[2].name] == {"ed25519:liar": {"minimum_valid_until_ts": 7}}


async def test_a_notary_is_believed_only_what_it_and_the_server_signed(
    make_federated: MakeFederated, make_lying: MakeLying, clock: FakeClock
) -> None:
    notary, gone = await make_lying(clock=clock), await make_lying(clock=clock)
    one = await make_federated(clock=clock, federation={"notaries": (notary.name,)})
    gone.on("GET", KEYS, lambda _: (503, {}))
    honest = gone.key_object()
    forged = dict(honest, valid_until_ts=1)
    foreign = SigningKey.from_seed(notary.key.name, b"F" * 32)
    bystander = await make_lying(clock=clock)
    for objects in (
        [honest],
        [sign_json(honest, notary.name, foreign)],
        [sign_json(forged, notary.name, notary.key)],
        [sign_json(bystander.key_object(), notary.name, notary.key)],
        "nonsense",
    ):
        notary.on("POST", QUERY, lambda _, objects=objects: {"server_keys": objects})
        clock.advance(HOUR)
        assert await found(one, gone.name) is None
    assert notary.times_asked(QUERY) == 5
    assert await one.tenant.remotes.verify_keys(
        {ServerName(bystander.name): {"ed25519:liar": 0}}, may_fetch=False
    ) == {bystander.name: {}}


async def test_what_a_notary_remembers_does_not_undo_what_a_server_said(
    make_federated: MakeFederated, make_lying: MakeLying, clock: FakeClock
) -> None:
    notary, other = await make_lying(clock=clock), await make_lying(clock=clock)
    one = await make_federated(clock=clock, federation={"notaries": (notary.name,)})
    stale, old = other.key_object(), other.key
    clock.advance(HOUR)
    other.key = NEW
    expired = clock.now() - 1
    retired = {old.name: {"key": old.verify_key.to_base64(), "expired_ts": expired}}
    other.on("GET", KEYS, lambda _: other.key_object(old_verify_keys=retired))
    assert await found(one, other.name, NEW.name) is not None

    other.on("GET", KEYS, lambda _: (503, {}))
    knows(notary, stale)
    clock.advance(MINUTE)
    assert await found(one, other.name, "ed25519:unheard") is None
    assert notary.times_asked(QUERY) == 1
    key = await found(one, other.name, old.name)
    assert key is not None
    assert key.valid_until == expired


# -- our own


async def test_what_we_publish_is_signed_and_good_for_a_while(one: Homeserver, clock: FakeClock) -> None:
    for path in (KEYS, f"{KEYS}/ed25519:whatever"):
        published = await one.nobody().ok("GET", path)
        key = one.tenant.signing_key
        verify_json(published, one.name, {key.name: key.verify_key})
        assert published["verify_keys"] == {key.name: {"key": key.verify_key.to_base64()}}
        assert published["old_verify_keys"] == {}
        assert published["valid_until_ts"] >= clock.now() + HOUR
        assert list(published) == sorted(published)


async def test_a_rotated_key_is_published_as_old_and_still_checks_our_events(
    one: Homeserver, make_federated: MakeFederated, clock: FakeClock
) -> None:
    before = one.tenant.signing_key
    after = rotate(one.plan.key_file, FakeRandom(5), clock.now())
    assert after.name != before.name
    again = await make_federated(beside=one, name=one.name, clock=clock)
    assert again.tenant.signing_key == after
    published = await again.nobody().ok("GET", KEYS)
    assert list(published["verify_keys"]) == [after.name]
    assert published["old_verify_keys"] == {
        before.name: {"key": before.verify_key.to_base64(), "expired_ts": clock.now()}
    }
    key = await found(again, one.name, before.name)
    assert key is not None
    assert key.valid_until == clock.now()
    rotate(one.plan.key_file, FakeRandom(6), clock.now() + 1)
    assert [key.name for key in old_keys(one.plan.key_file)] == [before.name, after.name]
    assert signing_key(one.plan.key_file, FakeRandom(7)).name not in (before.name, after.name)
