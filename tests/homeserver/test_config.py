"""The configuration: every mistake at once with its line, three sources over one another, and a sample that is true."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from homeserver import config_sample
from homeserver.config import Api, Config, LogFormat, RateLimitsConfig
from homeserver.config_kinds import Kind
from homeserver.config_load import load
from homeserver.config_schema import Listed, about
from homeserver.config_source import ConfigError, Item
from homeserver.tenants import plans, schema_of
from services.settings import (
    MIB,
    MINUTE,
    RATE_LIMITS,
    Guards,
    RateLimit,
    RegistrationMode,
    Settings,
    Threepids,
)
from web.endpoint import RATE_CLASSES

ROOT = Path(__file__).resolve().parents[2]


def written(tmp_path: Path, text: str) -> Path:
    """A file with the text."""
    file = tmp_path / "hearth.yaml"
    file.write_text(text)
    return file


def mistakes(file: Path | None, environment: dict[str, str] | None = None) -> list[str]:
    """What loading complains of, without the folder's name."""
    with pytest.raises(ConfigError) as error:
        load(file, environment or {})
    folder = f"{file.parent}/" if file else ""
    return [str(problem).removeprefix(folder) for problem in error.value.problems]


def test_every_mistake_is_told_at_once_with_its_line(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        """\
server_name: "two words"
publc_base_url: https://x
listeners:
  - port: 80080
  - prt: 3
    tls_key: /nowhere/key.pem
  - port: 1
    apis: []
registration:
  mode: opn
  tokens: [1, spring]
rate_limits: {enabled: maybe, messages: {burst: 0}}
accounts:
  token_lifetime: 5 years
rooms: {default_version: 13}
federation:
  ca_file: /nowhere/ca.pem
  allowed_private_networks: [10.0.0.0/8, everywhere]
database: 5
logging:
  format: text
  format: json
""",
    )
    assert mistakes(file, {"HEARTH_MEDIA__MAX_UPLOAD": "lots", "HEARTH_MEDIA__MAX_PIXEL": "3"}) == [
        "hearth.yaml:1: server_name must be a server name such as example.org or localhost:8008, not 'two words'",
        "hearth.yaml:2: there is no setting publc_base_url: did you mean public_base_url?",
        "hearth.yaml:4: listeners[1].port must be a whole number from 0 to 65535, not 80080",
        "hearth.yaml:5: there is no setting listeners[2].prt: did you mean port?",
        "hearth.yaml:5: listeners[2] needs both tls_certificate and tls_key, or neither",
        "hearth.yaml:5: listeners[2]: there is no file /nowhere/key.pem",
        "hearth.yaml:5: listeners[2] repeats ('127.0.0.1', 8008)",
        "hearth.yaml:7: listeners[3].apis is empty: nothing would be served",
        "hearth.yaml:10: registration.mode must be one of open, closed, token, not 'opn'",
        "hearth.yaml:11: registration.tokens[1] must be text (in quotes, where it looks like something else), not 1",
        "hearth.yaml:12: rate_limits.enabled must be true or false, not 'maybe'",
        "hearth.yaml:12: rate_limits.messages.burst must be a whole number of at least 1, not 0",
        "hearth.yaml:14: accounts.token_lifetime must be a duration such as 30s, 5m, 2h or 7d, not '5 years'",
        "hearth.yaml:15: rooms.default_version must be a room version: 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, not 13",
        "hearth.yaml:17: federation.ca_file: there is no file /nowhere/ca.pem",
        "hearth.yaml:18: federation.allowed_private_networks[2] must be a network such as 10.0.0.0/8,"
        " not 'everywhere'",
        "hearth.yaml:19: database must have settings of its own, with names",
        "hearth.yaml:22: format is said twice, before at " + str(file) + ":21",
        "environment variable HEARTH_MEDIA__MAX_PIXEL: there is no setting media.max_pixel: did you mean max_pixels?",
        "environment variable HEARTH_MEDIA__MAX_UPLOAD: media.max_upload must be a size such as 500K, 50M or 2G,"
        " not 'lots'",
    ]


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("a: [1", "hearth.yaml:1: is not YAML: expected ',' or ']', but got '<stream end>'"),
        ("- 1", "hearth.yaml:1: must have settings with names"),
        ("tenants: [{schema: x}]", "hearth.yaml:1: tenants[1].server_name is missing"),
        (
            "server_name: a.example\ntenants: [{server_name: b.example}]",
            "hearth.yaml:1: say either server_name or tenants: the one is the short form",
        ),
        (
            "tenants:\n- server_name: a.example\n- server_name: a.example",
            "hearth.yaml:3: tenants[2] repeats 'a.example'",
        ),
        (
            "appservices:\n- /nowhere/irc.yaml",
            "hearth.yaml:2: appservices[1]: there is no file /nowhere/irc.yaml",
        ),
        ("1: 2", "hearth.yaml:1: there is no setting 1"),
        ("[a]: 2", "hearth.yaml:1: a setting's name must be text"),
    ],
)
def test_one_mistake(tmp_path: Path, text: str, mistake: str) -> None:
    (told,) = mistakes(written(tmp_path, text))
    assert told.startswith(mistake)


def test_a_file_that_is_not_there_is_a_mistake(tmp_path: Path) -> None:
    (told,) = mistakes(tmp_path / "nothing.yaml")
    assert told.startswith("nothing.yaml: cannot be read")


def test_the_environment_goes_over_the_file_and_the_command_line_over_both(tmp_path: Path) -> None:
    file = written(
        tmp_path, "server_name: file.example\nredis: {url: 'redis://file'}\nlisteners: [{port: 1}]"
    )
    environment = {
        "HEARTH_SERVER_NAME": "environment.example",
        "HEARTH_REGISTRATION__TOKENS": "[spring, autumn]",
        "HEARTH_RATE_LIMITS__LOGIN__BURST": "7",
        "HEARTH_LISTENERS__0__APIS": "[metrics]",
        "OTHER": "{",
    }
    config = load(file, environment, {"listeners.0.port": Item("--port", 2)})
    assert config.server_name == "environment.example"
    assert config.redis.url == "redis://file"
    assert config.registration.tokens == ("spring", "autumn")
    assert (config.rate_limits.login.per_second, config.rate_limits.login.burst) == (0.2, 7)
    assert [(one.port, one.address, one.apis) for one in config.listeners] == [
        (2, "127.0.0.1", (Api.METRICS,))
    ]


def test_what_an_administrator_must_be_able_to_say(tmp_path: Path) -> None:
    for name in ("ca.pem", "tls.pem", "irc.yaml"):
        (tmp_path / name).touch()
    file = written(
        tmp_path,
        f"""\
public_base_url: https://matrix.example.org/
server_name: example.org
data_folder: {tmp_path}/data
listeners:
- {{address: "::", port: 8448, tls_certificate: {tmp_path}/tls.pem, tls_key: {tmp_path}/tls.pem, apis: [federation]}}
- {{address: 127.0.0.1, port: 8008, apis: [client, media]}}
database: {{url: "postgresql://hearth@db/hearth", connections: 20}}
redis: {{url: "rediss://redis:6379/3"}}
registration: {{mode: token, tokens: [spring], shared_secret: s3cret, terms: [{{name: Rules, url: "https://x/y"}}]}}
rate_limits: {{enabled: false, messages: {{per_second: 0.5, burst: 3}}}}
passwords: {{time_cost: 3, memory: 64MiB, parallelism: 2}}
rooms: {{default_version: 11}}
federation:
  enabled: false
  ca_file: {tmp_path}/ca.pem
  allowed_private_networks: [10.0.0.0/8, "fd00::/8"]
  verify_certificates: false
appservices: [{tmp_path}/irc.yaml]
accounts: {{token_lifetime: 30d}}
media: {{max_upload: 1G}}
logging: {{format: json, level: debug}}
""",
    )
    config = load(file, {})
    assert config.logging.format is LogFormat.JSON
    assert config.database.url == "postgresql://hearth@db/hearth"
    (plan,) = plans(config)
    settings = plan.settings
    assert settings.public_base_url == "https://matrix.example.org"
    assert settings.registration.mode is RegistrationMode.TOKEN
    assert settings.registration.tokens == {"spring"}
    assert settings.registration.shared_secret == "s3cret"
    assert settings.registration.terms == {"Rules": "https://x/y"}
    assert (settings.rate_limits.enabled, settings.rate_limits.limit("messages")) == (
        False,
        RateLimit(0.5, 3),
    )
    assert settings.passwords.memory_kib == 64 * 1024
    assert settings.default_room_version == "11"
    assert settings.federation.allowed_private_networks == (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))
    assert (settings.federation.enabled, settings.federation.verify_certificates) == (False, False)
    assert settings.appservice_files == (tmp_path / "irc.yaml",)
    assert settings.accounts.token_lifetime == 30 * 24 * 3600 * 1000
    assert settings.media.max_upload == 1024**3


def test_without_a_configuration_it_is_localhost() -> None:
    config = load(None, {})
    (plan,) = plans(config)
    assert plan.settings.server_name == "localhost:8008"
    assert plan.settings.public_base_url == "http://localhost:8008"
    assert config.data_folder == Path("data")
    assert config.database.url is config.redis.url is None
    assert plan.settings.registration.mode is RegistrationMode.CLOSED


def test_several_tenants_have_their_own_schemas_keys_and_folders(tmp_path: Path) -> None:
    text = "tenants: [{server_name: a.example, registration: {mode: open}}, {server_name: A.example}]"
    one, two = plans(load(written(tmp_path, text), {}))
    assert one.schema != two.schema
    assert one.key_file != two.key_file
    assert one.settings.media.folder != two.settings.media.folder
    modes = [plan.settings.registration.mode for plan in (one, two)]
    assert modes == [RegistrationMode.OPEN, RegistrationMode.CLOSED]


def test_a_tenant_says_its_own_and_has_for_the_rest_what_is_said_for_all(tmp_path: Path) -> None:
    text = """\
guards: {rooms_per_user: 7}
media: {max_upload: 3M}
push: {mail_delay: 5m}
threepids: {hide_known: false}
tenants:
  - server_name: a.example
    guards: {members_per_room: 9}
    oauth: {enabled: false}
    threepids: {allowed_domains: [a.example]}
    media: {max_upload: 1M, s3: {bucket: files}}
    push: {mail_delay: 7m}
  - server_name: b.example
"""
    one, two = (plan.settings for plan in plans(load(written(tmp_path, text), {})))
    assert (one.guards.rooms_per_user, one.guards.members_per_room) == (Guards().rooms_per_user, 9)
    assert (two.guards.rooms_per_user, two.guards.members_per_room) == (7, Guards().members_per_room)
    assert (one.oauth.enabled, two.oauth.enabled) == (False, True)
    assert one.media.max_upload == MIB
    assert two.media.max_upload == 3 * MIB
    assert one.media.bucket is not None
    assert two.media.bucket is None
    assert (one.threepids.hide_known, one.threepids.allowed_domains) == (
        Threepids().hide_known,
        ("a.example",),
    )
    assert (two.threepids.hide_known, two.threepids.allowed_domains) == (False, ())
    assert [settings.push.mail_delay for settings in (one, two)] == [7 * MINUTE, 5 * MINUTE]


def test_mistakes_of_tenants_are_told_at_once_with_their_lines(tmp_path: Path) -> None:
    text = """\
oauth: {enabled: true}
tenants:
  - server_name: a.example
    guards: {members_per_room: none}
    media: {max_upload: large, colour: red}
  - server_name: b.example
    push: {colour: red}
"""
    said = mistakes(written(tmp_path, text))
    assert [one.partition(" ")[0] for one in said] == [f"hearth.yaml:{line}:" for line in (4, 5, 5, 7)]


def test_registration_by_mail_needs_the_mail_of_that_tenant(tmp_path: Path) -> None:
    text = """\
registration: {mode: open, email: required}
tenants:
  - {server_name: a.example, mail: {host: mail.example, sender: a@a.example}}
  - {server_name: b.example, mail: {host: mail.example, sender: b@b.example}}
"""
    load(written(tmp_path, text), {})
    said = mistakes(
        written(tmp_path, text + "  - {server_name: c.example, registration: {email: required}}\n")
    )
    assert said == ["hearth.yaml:5: registration.email needs mail.host"]
    assert mistakes(written(tmp_path, text + "  - {server_name: c.example}\n")) == [
        "hearth.yaml:1: registration.email needs mail.host"
    ]


@pytest.mark.parametrize("name", ["localhost:8008", "[::1]:1", "a" * 200 + ".example", "X"])
def test_a_schema_is_a_name_that_postgresql_takes(name: str) -> None:
    assert schema_of(name).isidentifier()
    assert len(schema_of(name)) <= 63
    assert schema_of(name) == schema_of(name) != schema_of(name + "x")


def test_each_class_of_endpoints_has_a_limit() -> None:
    names = {rate.name for rate in RATE_CLASSES}
    assert set(RATE_LIMITS) == names
    assert {field.name for field in dataclasses.fields(RateLimitsConfig)} == names | {
        "enabled",
        "device_share",
        "address_factor",
    }


def test_the_sample_is_the_default_and_the_documentation_is_of_today() -> None:
    sample = ROOT / "config.sample.yaml"
    assert load(sample, {}) == Config()
    assert sample.read_text() == config_sample.sample(), "run scripts/configuration"
    reference = ROOT / "docs" / "operations" / "configuration.md"
    assert reference.read_text() == config_sample.reference(), "run scripts/configuration"


def declared(cls: type) -> Iterator[dataclasses.Field[Any]]:
    """All fields of a settings class and of those below it."""
    for field in dataclasses.fields(cls):
        yield field
        shape = about(field).shape
        below = shape.of if isinstance(shape, Listed) else shape
        if not isinstance(below, Kind):
            yield from declared(below)


def test_every_setting_has_a_sentence() -> None:
    fields = list(declared(Config))
    assert len(fields) > 50
    assert [field.name for field in fields if not about(field).sentence.endswith(".")] == []


def test_services_read_nothing_that_cannot_be_configured() -> None:
    fixed = {"server_name", "public_base_url", "media"}
    defaults = plans(load(None, {}))[0].settings
    for field in dataclasses.fields(Settings):
        if field.name not in fixed:
            assert getattr(defaults, field.name) == getattr(Settings("x", "y", defaults.media), field.name)
