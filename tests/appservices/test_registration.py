"""Registration files: what is read of them, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from homeserver.appservices import RegistrationError, load_appservices
from services.appservices.registry import Appservice as Registered
from tests.fixtures.appservice import Appservice, registration_file


def load(folder: Path, **more: Any) -> Registered:
    """The only one, as the registration changed by `more` says."""
    return load_appservices([registration_file(folder, Appservice(), **more)], "one.example").known[0]


def test_who_and_what_it_cares_for(tmp_path: Path) -> None:
    known = load(tmp_path, namespaces={"users": [{"regex": "@_irc_.*"}], "rooms": [{"regex": "!abc$"}]})
    assert known.cares_for_user("@_irc_bot:one.example")
    assert known.cares_for_user("@_irc_x:one.example")
    # «application services can only register interest in local users»
    assert not known.cares_for_user("@_irc_x:two.example")
    assert not known.cares_for_user("@x_irc_x:one.example")
    assert known.cares_for_room("!abc")
    assert not known.cares_for_room("!abcd")
    assert not known.cares_for_alias("#_irc_x:one.example")
    assert not known.owns_user("@_irc_x:one.example")
    assert known.owns_user("@_irc_bot:one.example")


@pytest.mark.parametrize(
    ("said", "ephemeral", "encrypted"),
    [
        ({}, False, False),
        ({"receive_ephemeral": True}, True, False),
        ({"de.sorunome.msc2409.push_ephemeral": True}, True, False),
        ({"org.matrix.msc3202": True}, False, True),
    ],
)
def test_what_it_asks_for(tmp_path: Path, said: dict[str, Any], ephemeral: bool, encrypted: bool) -> None:
    known = load(tmp_path, **said)
    assert (known.wants_ephemeral, known.is_encrypted) == (ephemeral, encrypted)


def test_that_it_is_asked_for_keys_is_said_in_its_registration(tmp_path: Path) -> None:
    known = load(tmp_path)
    assert (known.gives_keys, known.tells_keys) == (False, False)
    known = load(tmp_path, **{"org.matrix.msc3983": True, "org.matrix.msc3984": True})
    assert (known.gives_keys, known.tells_keys) == (True, True)


@pytest.mark.parametrize("url", [None, ""])
def test_one_that_wants_to_hear_nothing(tmp_path: Path, url: str | None) -> None:
    assert load(tmp_path, url=url).url is None


def test_a_slash_at_the_end_of_the_url_is_no_part_of_it(tmp_path: Path) -> None:
    assert load(tmp_path, url="https://bridge.example:29317/path/").url == "https://bridge.example:29317/path"


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        ({"url": "bridge:29317"}, "url must begin with"),
        ({"url": 5}, "url must be text"),
        ({"protocols": "irc"}, "protocols must be a list"),
        ({"protocols": [1]}, "protocols must be a list"),
        ({"hs_token": ""}, "hs_token must be text"),
        ({"namespaces": {"users": [{"regex": "("}]}}, "irc.yaml"),
        ({"namespaces": []}, None),
        ({"namespaces": ["@_irc"]}, "namespaces must have"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, said: dict[str, Any], complaint: str | None) -> None:
    if complaint is None:
        assert load(tmp_path, **said).namespaces.users == ()
    else:
        with pytest.raises(RegistrationError, match=complaint):
            load(tmp_path, **said)
