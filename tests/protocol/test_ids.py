"""Identifiers: what is one, and what it says."""

import pytest

from protocol import ids
from protocol.errors import InvalidId

LONG = "x" * 260


@pytest.mark.parametrize(
    "text",
    ["@a:x", "@:x", "@Historical Ünïcode!:x", "@a:x.org:8448", "@a:[::1]:80", "@a:1.2.3.4", "@a/b+c=d:x"],
)
def test_user_ids(text: str) -> None:
    assert ids.parse_user_id(text) == text
    assert ids.is_user_id(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "@",
        "a:x",
        "@a",
        "@a:",
        "#a:x",
        "@a\x00:x",
        "@a:x y",
        "@a:x:99999999",
        f"@{LONG}:x",
        "@a:b:c",
        "@\ud800:x",
    ],
)
def test_not_user_ids(text: str) -> None:
    with pytest.raises(InvalidId):
        ids.parse_user_id(text)


def test_255_bytes_not_code_points_are_the_limit() -> None:
    assert ids.parse_user_id("@" + "x" * 252 + ":x")
    with pytest.raises(InvalidId):
        ids.parse_user_id("@" + "ü" * 127 + ":x")  # 257 bytes


def test_room_ids_of_old_and_new_rooms() -> None:
    new = "!" + "a" * 43
    assert ids.parse_room_id("!opaque:x") == "!opaque:x"
    assert ids.parse_room_id(new) == new
    for text in ("!", "#a:x", "", "!a\x00:x", "!" + LONG):
        with pytest.raises(InvalidId):
            ids.parse_room_id(text)


def test_event_ids_of_all_versions() -> None:
    for text in (
        "$local:x",
        "$acR1l0raoZnm60CBwAVgqbZqoO/mYU81xysh1u7XcJk",
        "$Rqnc-F-dvnEYJTyHq_iKxU2bZ1CI92-kuZq3a5lr5Zg",
    ):
        assert ids.parse_event_id(text) == text
    for text in ("$", "abc", "$" + LONG):
        with pytest.raises(InvalidId):
            ids.parse_event_id(text)


def test_room_aliases() -> None:
    assert ids.parse_room_alias("#ä b:x") == "#ä b:x"
    for text in ("#:x", "#a", "#a:", "!a:x"):
        with pytest.raises(InvalidId):
            ids.parse_room_alias(text)


@pytest.mark.parametrize(
    "text", ["x", "x.org", "X.org:1", "1.2.3.4:8448", "[::1]", "[2001:db8::1]:8448", "a-b.c"]
)
def test_server_names(text: str) -> None:
    assert ids.parse_server_name(text) == text


@pytest.mark.parametrize(
    "text", ["", "x:", ":1", "x:a", "x/y", "x_y", "x y", "[::1", "x:123456", "ü.de", LONG]
)
def test_not_server_names(text: str) -> None:
    with pytest.raises(InvalidId):
        ids.parse_server_name(text)


def test_parts() -> None:
    assert ids.server_of("@a:x.org:8448") == "x.org:8448"
    assert ids.localpart_of("@a:x.org:8448") == "a"
    with pytest.raises(InvalidId):
        ids.server_of("!no-domain")


def test_localparts_for_new_users() -> None:
    assert ids.is_valid_new_localpart("a.b_c=d-e/f+1")
    for localpart in ("", "A", "ä", "a b", "a:b", "a\n"):
        assert not ids.is_valid_new_localpart(localpart)
