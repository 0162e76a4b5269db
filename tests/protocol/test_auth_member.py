"""The authorisation rules for memberships, one by one."""

from typing import Any

import pytest

from protocol.events import Event
from protocol.room_versions import ROOM_VERSIONS, V6, V7, V8, V9, V10, V11, V12, RoomVersion
from protocol.signing import sign_event, sign_json
from tests.protocol.rooms import ALICE, BOB, CAROL, Room, foreign, is_allowed, key_of

every_version = pytest.mark.parametrize(
    "version", ROOM_VERSIONS.values(), ids=lambda version: f"v{version.id}"
)


def _may(room: Room, user: str, membership: Any, by: str | None = None, **content: Any) -> bool:
    event = room.draft(by or user, "m.room.member", {"membership": membership, **content}, user)
    return is_allowed(event, room.state)


def _users(version: RoomVersion, **levels: int) -> dict[str, int]:
    """Power levels of users: Alice above all (as the creator she is anyway, since version 12)."""
    users: dict[str, int] = {} if version.creator_power else {ALICE: 100}
    return users | {{"bob": BOB, "carol": CAROL}[name]: level for name, level in levels.items()}


@every_version
def test_a_membership_has_a_state_key_and_is_known(version: RoomVersion) -> None:
    room = Room.opened(version)
    assert not is_allowed(room.draft(BOB, "m.room.member", {"membership": "join"}), room.state)
    assert not is_allowed(room.draft(BOB, "m.room.member", {}, BOB), room.state)
    for nonsense in ("JOIN", "", None, 5, ["join"], {}):
        assert not _may(room, BOB, nonsense)


# join


@every_version
def test_the_creator_joins_first(version: RoomVersion) -> None:
    room = Room(version)
    assert _may(room, ALICE, "join")
    assert not _may(room, BOB, "join")
    assert not _may(room, BOB, "join", by=ALICE)
    room.member(ALICE, "join")
    room.member(ALICE, "leave")
    assert not _may(room, ALICE, "join")  # not the first event any more


def test_an_additional_creator_joins_like_others() -> None:
    assert not _may(Room(V12, additional_creators=[BOB]), BOB, "join")


def test_the_creator_is_whom_the_create_event_names_until_version_10() -> None:
    for version, first in ((V10, BOB), (V11, ALICE)):
        room = Room(version, creator=BOB)
        assert [user for user in (ALICE, BOB) if _may(room, user, "join")] == [first]


@every_version
@pytest.mark.parametrize(
    "rule", ["public", "invite", "knock", "restricted", "knock_restricted", "private", "nonsense", 5]
)
def test_join_rules(version: RoomVersion, rule: Any) -> None:
    known = {
        "public",
        "invite",
        *(("knock",) if version.knock_join_rule else ()),
        *(("restricted",) if version.restricted_join_rule else ()),
        *(("knock_restricted",) if version.knock_restricted_join_rule else ()),
    }
    room = Room.opened(version)
    room.put(ALICE, "m.room.join_rules", {"join_rule": rule}, "")
    assert _may(room, BOB, "join") is (rule == "public")
    assert not _may(room, BOB, "join", by=ALICE)
    room.member(BOB, "invite", by=ALICE)
    assert _may(room, BOB, "join") is (rule in known)
    room.member(BOB, "ban", by=ALICE)
    assert not _may(room, BOB, "join")


@every_version
def test_without_a_join_rule_one_must_be_invited(version: RoomVersion) -> None:
    room = Room(version)
    room.member(ALICE, "join")
    assert not _may(room, BOB, "join")
    room.member(BOB, "invite", by=ALICE)
    assert _may(room, BOB, "join")
    room.member(BOB, "join")
    assert _may(room, BOB, "join")  # a new display name


@pytest.mark.parametrize("version", [V8, V9, V10, V11, V12], ids=lambda version: f"v{version.id}")
def test_restricted_joins(version: RoomVersion) -> None:
    room = Room.opened(version, "@low:one")
    room.levels(_users(version), invite=50)
    room.put(ALICE, "m.room.join_rules", {"join_rule": "restricted", "allow": []}, "")

    def joins_via(via: Any, signed_by: str = "one") -> bool:
        content = {"membership": "join", "join_authorised_via_users_server": via}
        event = foreign(room, BOB, "m.room.member", content, BOB)
        return is_allowed(sign_event(event, signed_by, key_of(signed_by)), room.state)

    assert joins_via(ALICE)
    assert not joins_via(ALICE, signed_by="three")
    assert not joins_via("@low:one")  # may not invite
    assert not joins_via("@absent:one")
    assert not joins_via(5)
    assert not joins_via("nonsense")
    assert not _may(room, BOB, "join")
    room.member(BOB, "invite", by=ALICE)
    assert _may(room, BOB, "join")


@pytest.mark.parametrize("rule", ["invite", "knock", "private"])
def test_nobody_authorises_joins_under_another_rule(rule: str) -> None:
    room = Room.opened(V10)
    room.put(ALICE, "m.room.join_rules", {"join_rule": rule}, "")
    content = {"membership": "join", "join_authorised_via_users_server": ALICE}
    join = foreign(room, BOB, "m.room.member", content, BOB)
    assert not is_allowed(sign_event(join, "one", key_of("one")), room.state)


def test_restricted_joins_need_version_8() -> None:
    room = Room.opened(V7)
    room.put(ALICE, "m.room.join_rules", {"join_rule": "restricted"}, "")
    content = {"membership": "join", "join_authorised_via_users_server": ALICE}
    assert not is_allowed(
        sign_event(foreign(room, BOB, "m.room.member", content, BOB), "one", key_of("one")), room.state
    )


def test_the_authorising_server_signs_whatever_the_membership() -> None:
    for version, checked in ((V7, False), (V8, True)):
        room = Room.opened(version, BOB)
        assert _may(room, BOB, "leave", join_authorised_via_users_server=ALICE) is not checked
        assert _may(room, BOB, "leave", join_authorised_via_users_server=CAROL)  # the own server signed


# invite


@every_version
def test_invites(version: RoomVersion) -> None:
    room = Room.opened(version, BOB)
    assert _may(room, CAROL, "invite", by=BOB)
    assert not _may(room, "@dave:three", "invite", by=CAROL)  # not joined
    assert not _may(room, BOB, "invite", by=ALICE)  # joined already
    room.member(CAROL, "ban", by=ALICE)
    assert not _may(room, CAROL, "invite", by=ALICE)  # banned
    room.levels(_users(version, bob=49), invite=50)
    assert not _may(room, "@dave:three", "invite", by=BOB)
    assert _may(room, "@dave:three", "invite", by=ALICE)


def _third_party(target: str = BOB, token: str = "token", by: str = "identity") -> dict[str, Any]:
    signed = sign_json({"mxid": target, "token": token}, "identity", key_of(by))
    return {"membership": "invite", "third_party_invite": {"display_name": "B", "signed": signed}}


def _pledge(**keys: Any) -> Room:
    room = Room.opened(V11, CAROL)
    room.put(ALICE, "m.room.third_party_invite", keys, "token")
    return room


IDENTITY = key_of("identity").verify_key.to_base64()


@pytest.mark.parametrize(
    ("keys", "valid"),
    [
        ({"public_key": IDENTITY}, True),
        ({"public_key": IDENTITY.replace("+", "-").replace("/", "_")}, True),  # «URL-safe» is as good
        ({"public_key": "nonsense", "public_keys": [{"public_key": IDENTITY}]}, True),
        (
            {"public_keys": [{"public_key": key_of("x").verify_key.to_base64()}, {"public_key": IDENTITY}]},
            True,
        ),
        ({"public_key": key_of("x").verify_key.to_base64()}, False),
        ({"public_key": 5, "public_keys": "nonsense"}, False),
        ({"public_keys": [5, {}, {"public_key": None}]}, False),
        ({}, False),
    ],
)
def test_third_party_invites_are_signed_by_a_pledged_key(keys: dict[str, Any], valid: bool) -> None:
    room = _pledge(**keys)
    assert is_allowed(room.draft(ALICE, "m.room.member", _third_party(), BOB), room.state) is valid


def test_third_party_invites() -> None:
    room = _pledge(public_key=IDENTITY)

    def invites(content: dict[str, Any], target: str = BOB, by: str = ALICE) -> bool:
        return is_allowed(room.draft(by, "m.room.member", content, target), room.state)

    assert invites(_third_party())
    assert not invites(_third_party(by="forger"))
    assert not invites(_third_party(), target=CAROL)  # mxid is not the target
    assert not invites(_third_party(token="other"))  # nobody pledged it
    assert not invites(_third_party(), by=CAROL)  # not whose pledge it was
    for wrong in (
        None,
        "text",
        {},
        {"signed": None},
        {"signed": {"mxid": BOB}},
        {"signed": {"token": "token"}},
        {"signed": {"mxid": BOB, "token": ["token"]}},
        {"signed": {"mxid": BOB, "token": "token"}},
        {"signed": {"mxid": BOB, "token": "token", "signatures": {"identity": {"ed25519:test": "AAAA"}}}},
    ):
        assert not invites({"membership": "invite", "third_party_invite": wrong})
    room.member(BOB, "ban", by=ALICE)
    assert not invites(_third_party())


# leave, ban


@every_version
def test_leaving(version: RoomVersion) -> None:
    room = Room.opened(version, BOB)
    assert _may(room, BOB, "leave")
    assert not _may(room, CAROL, "leave")  # never was there
    room.member(CAROL, "invite", by=ALICE)
    assert _may(room, CAROL, "leave")
    room.member(BOB, "ban", by=ALICE)
    assert not _may(room, BOB, "leave")


@every_version
def test_kicks_and_bans_need_the_level_and_more_power_than_the_target(version: RoomVersion) -> None:
    for membership in ("leave", "ban"):
        for bob, carol, allowed in (
            (49, 0, False),
            (50, 0, True),
            (50, 49, True),
            (50, 50, False),
            (50, 51, False),
        ):
            room = Room.opened(version, BOB, CAROL)
            room.levels(_users(version, bob=bob, carol=carol))
            assert _may(room, CAROL, membership, by=BOB) is allowed
            assert not _may(room, ALICE, membership, by=BOB)
    room.member(BOB, "leave")
    assert not _may(room, "@dave:three", "ban", by=BOB)  # not joined himself
    assert not _may(room, CAROL, "leave", by=BOB)


@every_version
def test_unbanning_needs_both_levels(version: RoomVersion) -> None:
    room = Room.opened(version, BOB)
    room.member(CAROL, "ban", by=ALICE)
    for kick, ban, allowed in ((50, 50, True), (50, 51, False), (51, 50, False)):
        room.levels(_users(version, bob=50), kick=kick, ban=ban)
        assert _may(room, CAROL, "leave", by=BOB) is allowed


def test_nobody_removes_a_creator_since_version_12() -> None:
    room = Room.opened(V12, BOB, additional_creators=[BOB])
    assert not _may(room, BOB, "leave", by=ALICE)
    assert not _may(room, ALICE, "ban", by=BOB)
    room.member(CAROL, "join")
    assert _may(room, CAROL, "ban", by=BOB)


# knock


@every_version
def test_knocking(version: RoomVersion) -> None:
    room = Room.opened(version)
    assert not _may(room, BOB, "knock")
    for rule, allowed in (
        ("knock", version.knock_join_rule),
        ("knock_restricted", version.knock_restricted_join_rule),
        ("restricted", False),
        ("invite", False),
    ):
        room.put(ALICE, "m.room.join_rules", {"join_rule": rule}, "")
        assert _may(room, BOB, "knock") is allowed


def test_who_knocks() -> None:
    room = Room.opened(V10, CAROL)
    room.put(ALICE, "m.room.join_rules", {"join_rule": "knock"}, "")
    assert not _may(room, BOB, "knock", by=ALICE)
    assert not _may(room, CAROL, "knock")  # joined
    room.member(BOB, "knock")
    assert _may(room, BOB, "knock")
    assert _may(room, BOB, "leave")  # takes it back
    assert not _may(room, BOB, "join")
    room.member(BOB, "invite", by=ALICE)
    assert not _may(room, BOB, "knock")
    room.member(BOB, "ban", by=ALICE)
    assert not _may(room, BOB, "knock")


def test_a_knock_means_nothing_before_version_7() -> None:
    room = Room.opened(V6)
    knock: Event = foreign(room, BOB, "m.room.member", {"membership": "knock"}, BOB)
    room.append(knock)
    assert not _may(room, BOB, "leave")
