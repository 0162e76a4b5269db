"""What is configured of upstream logins: who proves people, and how they become users here."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

SECOND = 1_000
LDAP = "ldap"
"""The directory's ID among the providers; no other may have it."""


class ClientAuth(Enum):
    """How we show a provider that we are its client (OpenID Connect Core §9)."""

    BASIC = "client_secret_basic"
    POST = "client_secret_post"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Mapping:
    """How a person becomes a user; templates name attributes: `{preferred_username}`, `{email|localpart}`."""

    localpart: str | None
    display_name: str | None = "{name}"
    email: str | None = "{email}"
    choose_localpart: bool = False
    allow_existing: bool = False
    registration: bool = True
    picture: str | None = "{picture}"


@dataclass(frozen=True, slots=True)
class Face:
    """A provider as people see it; `brand` lets clients choose a picture of their own."""

    id: str
    name: str
    icon: str | None = None
    brand: str | None = None


@dataclass(frozen=True, slots=True)
class OidcProvider:
    """An OpenID provider, and what we are to it."""

    face: Face
    issuer: str
    client_id: str
    mapping: Mapping
    client_secret: str | None = None
    client_auth: ClientAuth = ClientAuth.BASIC
    scopes: tuple[str, ...] = ("openid", "profile", "email")
    hosts: tuple[str, ...] = ()  # beside the issuer's, to which we may send requests
    userinfo: bool = False
    backchannel_logout: bool = False


@dataclass(frozen=True, slots=True)
class CasProvider:
    """A CAS server; `required` are attributes that a person must have, with one of the values where there are any."""

    face: Face
    url: str
    mapping: Mapping
    required: tuple[tuple[str, str | None], ...] = ()


Provider = OidcProvider | CasProvider


class LdapTls(Enum):
    """How the connection to a directory is kept secret; ldaps: URLs are by themselves."""

    STARTTLS = "starttls"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Ldap:
    """A directory, in which people are searched for, and to which they show their password by a bind."""

    url: str
    base: str
    mapping: Mapping
    tls: LdapTls = LdapTls.STARTTLS
    ca_file: Path | None = None
    bind_dn: str | None = None
    bind_password: str | None = None
    filter: str = "(uid={name})"
    subject: str = "uid"
    timeout: int = 10 * SECOND


@dataclass(frozen=True, slots=True)
class Upstream:
    """All of it; `trusted_clients` are addresses of clients whose users are not asked before they get a login token."""

    providers: tuple[Provider, ...] = ()
    ldap: Ldap | None = None
    trusted_clients: tuple[str, ...] = field(default=())

    def provider(self, name: str) -> Provider | None:
        """The provider with the ID."""
        return next((one for one in self.providers if one.face.id == name), None)
