"""The table of room versions, written a second time: each feature and the versions that have it."""

import pytest

from protocol.errors import UnsupportedRoomVersion
from protocol.room_versions import (
    ROOM_VERSIONS,
    EventFormat,
    EventIdForm,
    StateResolution,
    version_named,
    version_of_create,
)

FIRST_AND_LAST = {
    "event_id_is_hash": (3, 12),
    "enforce_key_validity": (5, 12),
    "strict_canonical_json": (6, 12),
    "event_id_names_server": (1, 2),
    "aliases_special_auth": (1, 5),
    "limit_notifications_levels": (6, 12),
    "knock_join_rule": (7, 12),
    "restricted_join_rule": (8, 12),
    "knock_restricted_join_rule": (10, 12),
    "integer_power_levels": (10, 12),
    "string_power_levels": (1, 9),
    "float_power_levels": (1, 5),
    "redacts_in_content": (11, 12),
    "implicit_creator": (11, 12),
    "strict_byte_limits": (11, 12),
    "room_id_is_create_hash": (12, 12),
    "creator_power": (12, 12),
}


@pytest.mark.parametrize(("feature", "span"), FIRST_AND_LAST.items())
def test_features(feature: str, span: tuple[int, int]) -> None:
    have = [number for number in range(1, 13) if getattr(version_named(str(number)), feature)]
    assert have == list(range(span[0], span[1] + 1))


def test_choices() -> None:
    versions = [version_named(str(number)) for number in range(1, 13)]
    assert [v.event_format for v in versions] == [EventFormat.PAIRS] * 2 + [EventFormat.IDS] * 10
    assert [v.event_id_form for v in versions] == (
        [EventIdForm.CHOSEN] * 2 + [EventIdForm.HASH] + [EventIdForm.URL_SAFE_HASH] * 9
    )
    assert [v.state_resolution for v in versions] == (
        [StateResolution.V1] + [StateResolution.V2] * 10 + [StateResolution.V2_1]
    )
    assert [v.max_depth for v in versions] == [2**63 - 1] * 5 + [2**53 - 1] * 7


def test_names() -> None:
    assert list(ROOM_VERSIONS) == [str(number) for number in range(1, 13)]
    assert all(version.id == name for name, version in ROOM_VERSIONS.items())
    with pytest.raises(UnsupportedRoomVersion):
        version_named("13")


def test_a_create_event_without_a_version_makes_a_room_of_version_1() -> None:
    assert version_of_create({}).id == "1"
    assert version_of_create({"room_version": "12"}).id == "12"
    for nonsense in ("", 12, None, ["1"]):
        with pytest.raises(UnsupportedRoomVersion):
            version_of_create({"room_version": nonsense})
