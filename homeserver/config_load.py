"""From a file, the environment and the command line to a Config, or to all mistakes at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from homeserver.config import Api, Config, TenantConfig
from homeserver.config_push_gateway import mistakes_in as push_mistakes_in
from homeserver.config_schema import read
from homeserver.config_source import ConfigError, Item, Problem, Source, source_of
from homeserver.config_upstream import LdapConfig, mistakes_in
from services.settings import EmailAtRegistration


def load(file: Path | None, environment: Mapping[str, str], said: Mapping[str, Item] | None = None) -> Config:
    """The settings; `said`: those of the command line, by dotted name. Raises ConfigError, all at once."""
    source = source_of(file)
    source.put_environment(environment)
    for name, item in (said or {}).items():
        source.put(tuple(name.split(".")), item)
    problems = source.problems
    config = read(Config, source.root, "", problems)
    if config is not None:
        problems += _checks(config, source)
    if config is None or problems:
        raise ConfigError(sorted(problems, key=_order))
    return config


def _order(problem: Problem) -> tuple[bool, int, str]:
    """The file first, line by line."""
    _, _, line = problem.place.rpartition(":")
    return (False, int(line), "") if line.isdecimal() else (True, 0, problem.place)


def _checks(config: Config, source: Source) -> list[Problem]:
    """What is wrong between settings that are each right."""
    problems = []
    for number, listener in enumerate(config.listeners):
        where = _place(source, "listeners", number)
        name = f"listeners[{number + 1}]"
        if (listener.tls_certificate is None) is not (listener.tls_key is None):
            problems.append(Problem(where, f"{name} needs both tls_certificate and tls_key, or neither"))
        for file in (listener.tls_certificate, listener.tls_key):
            problems += _unreadable(file, where, name)
        if not listener.apis:
            problems.append(Problem(where, f"{name}.apis is empty: nothing would be served"))
    if not config.listeners:
        problems.append(Problem(_place(source, "listeners"), "listeners is empty: nothing would be served"))
    problems += _twice([(e.address, e.port) for e in config.listeners if e.port], source, "listeners")
    problems += _twice([tenant.server_name for tenant in config.tenants], source, "tenants")
    if config.tenants and config.server_name:
        problems.append(
            Problem(
                _place(source, "server_name"), "say either server_name or tenants: the one is the short form"
            )
        )
    problems += _unreadable(
        config.federation.ca_file, _place(source, "federation", "ca_file"), "federation.ca_file"
    )
    problems += _mail(config, config, source)
    problems += _push_gateway(config, source)
    problems += _upstream(config, config, source)
    for number, tenant in enumerate(config.tenants):
        problems += _upstream(config, tenant, source, "tenants", number)
        problems += _mail(config, tenant, source, "tenants", number)
    for number, file in enumerate(config.appservices):
        problems += _unreadable(file, _place(source, "appservices", number), f"appservices[{number + 1}]")
    for number, tenant in enumerate(config.tenants):
        for file in tenant.appservices:
            problems += _unreadable(file, _place(source, "tenants", number, "appservices"), "appservices")
    return problems


def _push_gateway(config: Config, source: Source) -> list[Problem]:
    apps = config.push_gateway.apps
    problems = _twice([app.id for app in apps], source, "push_gateway", "apps")
    for number, app in enumerate(apps):
        where = _place(source, "push_gateway", "apps", number)
        problems += [
            Problem(where, f"push_gateway.apps[{number + 1}] {one}") for one in push_mistakes_in(app)
        ]
    if not apps and any(Api.PUSH_GATEWAY in listener.apis for listener in config.listeners):
        where = _place(source, "push_gateway")
        problems.append(Problem(where, "a listener serves push_gateway, but push_gateway.apps is empty"))
    return problems


def _mail(config: Config, said: Config | TenantConfig, source: Source, *path: str | int) -> list[Problem]:
    """What is wrong with the mail of all, or of one tenant, whose registration may be that of all."""
    problems = []
    if said.mail is not None:
        problems += _unreadable(said.mail.ca_file, _place(source, *path, "mail", "ca_file"), "mail.ca_file")
    if not _says_own(said) or (said is config and config.tenants and all(map(_says_own, config.tenants))):
        return problems  # it is as for all; and what is said for all is nobody's
    mail, registration = said.mail or config.mail, said.registration or config.registration
    if registration.email is not EmailAtRegistration.NONE and mail.host is None:
        where = _place(source, *path, "registration", "email")
        problems.append(Problem(where, "registration.email needs mail.host"))
    return problems


def _says_own(said: Config | TenantConfig) -> bool:
    return said.mail is not None or said.registration is not None


def _upstream(config: Config, said: Config | TenantConfig, source: Source, *path: str | int) -> list[Problem]:
    """What is wrong with identity providers and the directory of all, or of one tenant."""
    problems = []
    where = _place(source, *path, "upstream_logins")
    for number, provider in enumerate(said.upstream_logins):
        name = f"upstream_logins[{number + 1}]"
        place = _place(source, *path, "upstream_logins", number)
        problems += [Problem(place, f"{name}: {mistake}") for mistake in mistakes_in(provider)]
        if provider.id in [one.id for one in said.upstream_logins[:number]]:
            problems.append(Problem(place, f"{name} repeats {provider.id!r}"))
    if said.upstream_logins and not (said.oauth or config.oauth).enabled:
        problems.append(Problem(where, "upstream_logins need oauth.enabled: people log in on its pages"))
    if said is config and config.tenants and (config.upstream_logins or config.ldap):
        problems.append(Problem(where, "with tenants, upstream_logins and ldap stand in each tenant"))
    if said.ldap is not None:
        problems += _ldap(said.ldap, _place(source, *path, "ldap"))
    return problems


def _ldap(ldap: LdapConfig, where: str) -> list[Problem]:
    problems = _unreadable(ldap.ca_file, where, "ldap.ca_file")
    if find_spec("ldap3") is None:
        problems.append(Problem(where, "ldap needs the extra: pip install 'hearth[ldap]'"))
    return problems


def _twice(values: list[Any], source: Source, *path: str) -> list[Problem]:
    counted, name = Counter(values), ".".join(path)
    return [
        Problem(_place(source, *path, number), f"{name}[{number + 1}] repeats {value!r}")
        for number, value in enumerate(values)
        if counted[value] > 1 and number != values.index(value)
    ]


def _unreadable(file: Path | None, place: str, name: str) -> list[Problem]:
    if file is None or file.is_file():
        return []
    return [Problem(place, f"{name}: there is no file {file}")]


def _place(source: Source, *path: str | int) -> str:
    """Where a setting was said; the nearest thing around it when it was not."""
    at = source.root
    for step in path:
        if isinstance(at.value, dict) and step in at.value:
            at = at.value[str(step)]
        elif isinstance(at.value, list) and isinstance(step, int) and step < len(at.value):
            at = at.value[step]
        else:
            break
    return at.place
