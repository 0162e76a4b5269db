"""The small parts of the assembly: keys, log lines, registration files, limits, what a start says."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import signedjson.key

from homeserver.__main__ import main
from homeserver.appservices import RegistrationError, load_appservices
from homeserver.config import LogFormat, LoggingConfig
from homeserver.config_load import load
from homeserver.keys import KeyFileError, old_keys, signing_key
from homeserver.logging import LOG, log_observation, start_logging
from homeserver.tenants import plans
from homeserver.welcome import warnings
from services.observations import BackgroundFailure, Level
from services.settings import RateLimit, RateLimits
from tests.fixtures.homeserver import MakeHomeserver
from tests.fixtures.time import FakeClock, FakeRandom


def test_a_key_is_made_once_for_our_eyes_only_and_others_can_read_its_format(tmp_path: Path) -> None:
    file = tmp_path / "keys" / "example.org.key"
    made = signing_key(file, FakeRandom(1))
    assert signing_key(file, FakeRandom(2)) == made
    assert file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in file.parent.iterdir()] == [file.name]
    with file.open() as text:
        (theirs,) = signedjson.key.read_signing_keys(text)
    assert f"{theirs.alg}:{theirs.version}" == made.name
    assert theirs.encode() == made.seed


@pytest.mark.parametrize("text", ["", "nonsense", "ed25519 1 short", "rsa 1 " + "A" * 43])
def test_a_key_file_that_cannot_be_used_is_told_and_never_overwritten(tmp_path: Path, text: str) -> None:
    file = tmp_path / "bad.key"
    file.write_text(text)
    with pytest.raises(KeyFileError, match=r"bad\.key"):
        signing_key(file, FakeRandom())
    assert file.read_text() == text


def test_a_new_key_is_made_by_a_command_and_the_one_before_is_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "keys" / "a.example.key"
    before = signing_key(file, FakeRandom(1))
    assert main(["key", "rotate", "--data", str(tmp_path), "--server-name", "a.example"]) == 0
    after = signing_key(file, FakeRandom(2))
    assert after.name in capsys.readouterr().out
    assert [key.key for key in old_keys(file)] == [before.verify_key.key]
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("text", ["nonsense", "ed25519 1 short 5", "ed25519 1 " + "A" * 43 + " soon", "é"])
def test_old_keys_that_cannot_be_read_are_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.key.old").write_text(text)
    with pytest.raises(KeyFileError, match=r"a\.key\.old"):
        old_keys(tmp_path / "a.key")


@dataclass(frozen=True, slots=True)
class Happened:
    """An observation of the tests."""

    level: Level

    def __str__(self) -> str:
        return "something «happened»"


@pytest.fixture
def logged(capsys: pytest.CaptureFixture[str]) -> Iterator[Any]:
    """Starts logging in a format; then gives the lines that were written."""
    root = logging.getLogger()
    before = (list(root.handlers), root.level, LOG.level)

    def lines(format: LogFormat) -> list[str]:
        start_logging(LoggingConfig(format=format))
        log_observation("one.example", Happened(Level.DEBUG))
        log_observation("one.example", Happened(Level.INFO))
        try:
            raise ValueError("because")
        except ValueError as error:
            log_observation("one.example", BackgroundFailure("a loop", error))
        return capsys.readouterr().err.splitlines()

    yield lines
    root.handlers[:], root.level, LOG.level = before


def test_log_lines_are_readable(logged: Any) -> None:
    first, second, *traceback = logged(LogFormat.TEXT)
    assert first.endswith(" INFO    one.example: something «happened»")
    assert second.endswith(" ERROR   one.example: a loop: ValueError('because'); going on")
    assert traceback[0] == "Traceback (most recent call last):"
    assert traceback[-1] == "ValueError: because"


def test_log_lines_are_json_where_that_is_asked_for(logged: Any) -> None:
    first, second = map(json.loads, logged(LogFormat.JSON))
    assert (first["level"], first["about"], first["message"]) == (
        "info",
        "one.example",
        "something «happened»",
    )
    assert second["traceback"].endswith("ValueError: because")


REGISTRATION = """\
id: irc
url: http://localhost:9999
as_token: secret-as
hs_token: secret-hs
sender_localpart: ircbot
rate_limited: false
protocols: [irc]
namespaces:
  users: [{exclusive: true, regex: '@irc_.*:example\\.org'}]
  aliases: [{exclusive: false, regex: '#irc_.*'}]
"""


def test_an_application_service_is_read_from_its_file(tmp_path: Path) -> None:
    (tmp_path / "irc.yaml").write_text(REGISTRATION)
    (irc,) = load_appservices([tmp_path / "irc.yaml"], "example.org").known
    assert (irc.id, irc.sender, irc.rate_limited, irc.protocols) == (
        "irc",
        "@ircbot:example.org",
        False,
        ("irc",),
    )
    assert irc.owns_user("@irc_bob:example.org")
    assert not irc.owns_user("@bob:example.org")
    assert not irc.owns_alias("#irc_cats:example.org")


@pytest.mark.parametrize(
    ("old", "new", "mistake"),
    [
        ("id: irc", "", "id must be text"),
        ("as_token: secret-as", "as_token: 7", "as_token must be text"),
        ("regex: '#irc_.*'", "regex: '('", "unterminated subpattern"),
        (REGISTRATION, "- a", "must have settings with names"),
        (REGISTRATION, "a: [", "expected the node content"),
    ],
)
def test_a_registration_file_that_is_wrong_is_told(tmp_path: Path, old: str, new: str, mistake: str) -> None:
    (tmp_path / "irc.yaml").write_text(REGISTRATION.replace(old, new))
    with pytest.raises(RegistrationError, match=mistake):
        load_appservices([tmp_path / "irc.yaml"], "example.org")


def test_two_application_services_may_not_share_a_token(tmp_path: Path) -> None:
    for name in ("irc", "xmpp"):
        (tmp_path / f"{name}.yaml").write_text(REGISTRATION.replace("id: irc", f"id: {name}"))
    with pytest.raises(RegistrationError, match="another application service has this id or as_token: irc"):
        load_appservices([tmp_path / "irc.yaml", tmp_path / "xmpp.yaml"], "example.org")


async def test_who_asks_too_often_is_told_when_to_come_back(make_homeserver: MakeHomeserver) -> None:
    clock = FakeClock()
    limits = RateLimits(True, {"login": RateLimit(per_second=0.5, burst=3)})
    homeserver = await make_homeserver(clock=clock, rate_limits=limits)
    nobody = homeserver.nobody()
    body = {"type": "m.login.password", "identifier": {"type": "m.id.user", "user": "x"}, "password": "guess"}
    statuses = [(await nobody.post("login", body))[0] for _ in range(4)]
    assert statuses == [403, 403, 403, 429]
    _, said = await nobody.post("login", body)
    assert said["errcode"] == "M_LIMIT_EXCEEDED"
    clock.advance(said["retry_after_ms"])
    assert (await nobody.post("login", body))[0] == 403


def test_what_is_open_is_named() -> None:
    config = load(
        None, {"HEARTH_REGISTRATION__MODE": "open", "HEARTH_FEDERATION__VERIFY_CERTIFICATES": "false"}
    )
    told = warnings(config, plans(config))
    assert [warning.split(" ")[0] for warning in told] == ["REGISTRATION", "CERTIFICATES"]
    quiet = load(None, {})
    assert warnings(quiet, plans(quiet)) == []
