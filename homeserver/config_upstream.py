"""The settings of upstream logins: identity providers (OpenID Connect, CAS) and a directory (LDAP)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from homeserver.config_kinds import BOOLEAN, DURATION, PATH, TEXT, Kind, choice, quoted, url
from homeserver.config_schema import Listed, setting
from homeserver.config_source import Scalar
from services.upstream.person import mistake_in
from services.upstream.settings import (
    LDAP,
    CasProvider,
    ClientAuth,
    Face,
    Ldap,
    LdapTls,
    Mapping,
    OidcProvider,
    Provider,
    Upstream,
)

WEB_URL = url("http", "https")


class ProviderKind(Enum):
    """The language that a provider speaks."""

    OIDC = "oidc"
    CAS = "cas"


def _id(value: Scalar) -> str:
    # «opaque identifier»; it stands in URLs of ours.
    if not isinstance(value, str) or not re.fullmatch(r"[a-z0-9_.~-]{1,250}", value) or value == LDAP:
        raise ValueError
    return value


def _template(value: Scalar) -> str:
    if not isinstance(value, str) or not value or mistake_in(value) is not None:
        raise ValueError
    return value


def _filter(value: Scalar) -> str:
    if not isinstance(value, str) or "{name}" not in value or not (value[0], value[-1]) == ("(", ")"):
        raise ValueError
    return value


def _mxc(value: Scalar) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"mxc://[^/\s]+/[\w-]+", value):
        raise ValueError
    return value


ID = Kind("a short name of a-z, 0-9 and _.~- (but not ldap)", _id, quoted)
TEMPLATE = Kind("text with attributes as {name}, {name|lower} or {name|localpart}", _template, quoted)
FILTER = Kind("an LDAP filter in parentheses with {name} in it", _filter, quoted)
MXC = Kind("an mxc:// URI", _mxc, quoted)


@dataclass(frozen=True, slots=True)
class MappingConfig:
    """How a person becomes a user. Templates name attributes that the provider tells."""

    localpart: str | None = setting(
        TEMPLATE, "The name in the user ID; without, or where it is taken, people choose.", None, optional=True,
        example='"{preferred_username}"',
    )  # fmt: skip
    display_name: str | None = setting(TEMPLATE, "The display name of new users.", "{name}", optional=True)
    email: str | None = setting(
        TEMPLATE,
        "The e-mail address of new users, where the provider vouches for it.",
        "{email}",
        optional=True,
    )
    picture: str | None = setting(
        TEMPLATE,
        "The address of a picture of new users, which is fetched once, not from private networks.",
        "{picture}",
        optional=True,
    )
    choose_localpart: bool = setting(
        BOOLEAN, "Whether people choose the name themselves, in any case.", False
    )
    allow_existing: bool = setting(
        BOOLEAN, "Whether an account that has the name already is the person's. Be sure that the names are the same.", False
    )  # fmt: skip
    registration: bool = setting(BOOLEAN, "Whether people who have no account get one.", True)


@dataclass(frozen=True, slots=True)
class RequiredConfig:
    """An attribute that people must have."""

    name: str = setting(TEXT, "Its name.")
    value: str | None = setting(TEXT, "One of its values; without, any.", None, optional=True)


@dataclass(frozen=True, slots=True)
class UpstreamConfig:
    """An identity provider."""

    id: str = setting(ID, "What it is called in addresses and in the database; never changes.")
    name: str = setting(TEXT, "What people see.")
    kind: ProviderKind = setting(choice(ProviderKind), "oidc (OpenID Connect) or cas.", ProviderKind.OIDC)
    icon: str | None = setting(MXC, "Its picture, for clients.", None, optional=True)
    brand: str | None = setting(
        TEXT, "Tells clients whose picture to show: google, github, gitlab...", None, optional=True
    )
    issuer: str | None = setting(WEB_URL, "oidc: the issuer, to the letter.", None, optional=True)
    client_id: str | None = setting(TEXT, "oidc: our name there.", None, optional=True)
    client_secret: str | None = setting(TEXT, "oidc: our secret there.", None, optional=True)
    client_auth: ClientAuth = setting(
        choice(ClientAuth), "oidc: how the secret is shown; none for public clients.", ClientAuth.BASIC
    )
    scopes: tuple[str, ...] = setting(
        Listed(TEXT), "oidc: what is asked for.", ("openid", "profile", "email")
    )
    hosts: tuple[str, ...] = setting(
        Listed(TEXT),
        "oidc: hosts (with port) of its endpoints beside the issuer's; others are never asked.",
        (),
    )
    userinfo: bool = setting(
        BOOLEAN, "oidc: whether attributes are asked for too, where the ID token does not say enough.", False
    )
    backchannel_logout: bool = setting(
        BOOLEAN,
        "oidc: whether the provider may end all sessions of a user; their devices are deleted.",
        False,
    )
    url: str | None = setting(
        WEB_URL, "cas: where it is, as in https://cas.example.org/cas.", None, optional=True
    )
    required: tuple[RequiredConfig, ...] = setting(
        Listed(RequiredConfig), "cas: attributes that people must have.", ()
    )
    mapping: MappingConfig = setting(MappingConfig, "How a person becomes a user.")


@dataclass(frozen=True, slots=True)
class LdapConfig:
    """A directory that knows people's passwords."""

    url: str = setting(url("ldap", "ldaps"), "Where it is.")
    base: str = setting(
        TEXT, "Below which entry people are searched for.", example='"ou=people,dc=example,dc=org"'
    )
    tls: LdapTls = setting(
        choice(LdapTls),
        "starttls, or none: passwords in the clear. ldaps: URLs need neither.",
        LdapTls.STARTTLS,
    )
    ca_file: Path | None = setting(
        PATH,
        "A PEM file of the certificate authorities to trust; without, the system's.",
        None,
        optional=True,
    )
    bind_dn: str | None = setting(
        TEXT, "As whom people are searched for; without, as nobody.", None, optional=True
    )
    bind_password: str | None = setting(TEXT, "Its password.", None, optional=True)
    filter: str = setting(FILTER, "Finds a person by the name that was typed.", "(uid={name})")
    subject: str = setting(TEXT, "The attribute that names a person for ever.", "uid")
    timeout: int = setting(DURATION, "How long the directory is waited for.", 10_000)
    mapping: MappingConfig = setting(
        MappingConfig, "How a person becomes a user.", MappingConfig("{uid}", "{cn}", "{mail}")
    )


def upstream_of(
    providers: tuple[UpstreamConfig, ...], ldap: LdapConfig | None, trusted: tuple[str, ...]
) -> Upstream:
    """What services read of it."""
    return Upstream(tuple(map(_provider, providers)), None if ldap is None else _ldap(ldap), trusted)


def mistakes_in(provider: UpstreamConfig) -> Iterator[str]:
    """What is wrong between a provider's settings, each of which is right."""
    kind = provider.kind.value
    for name in ("issuer", "client_id") if provider.kind is ProviderKind.OIDC else ("url",):
        if getattr(provider, name) is None:
            yield f"{name} is missing, which {kind} needs"
    if provider.kind is ProviderKind.CAS:
        return
    if provider.client_auth is not ClientAuth.NONE and provider.client_secret is None:
        yield "client_secret is missing; public clients say client_auth: none"
    if "openid" not in provider.scopes:
        yield "scopes must name openid"


def _mapping(config: MappingConfig) -> Mapping:
    return Mapping(
        config.localpart,
        config.display_name,
        config.email,
        config.choose_localpart,
        config.allow_existing,
        config.registration,
        config.picture,
    )


def _provider(config: UpstreamConfig) -> Provider:
    face = Face(config.id, config.name, config.icon, config.brand)
    mapping = _mapping(config.mapping)
    if config.kind is ProviderKind.CAS:
        required = tuple((one.name, one.value) for one in config.required)
        return CasProvider(face, config.url or "", mapping, required)
    return OidcProvider(
        face,
        config.issuer or "",
        config.client_id or "",
        mapping,
        config.client_secret,
        config.client_auth,
        config.scopes,
        config.hosts,
        config.userinfo,
        config.backchannel_logout,
    )


def _ldap(config: LdapConfig) -> Ldap:
    return Ldap(
        config.url,
        config.base,
        _mapping(config.mapping),
        config.tls,
        config.ca_file,
        config.bind_dn,
        config.bind_password,
        config.filter,
        config.subject,
        config.timeout,
    )
