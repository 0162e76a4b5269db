"""Every setting: its name, its kind, its default, and a sentence. `config.sample.yaml` is made from this."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

from homeserver.config_accounts import AccountsConfig, PasswordsConfig, RegistrationConfig
from homeserver.config_calls import DelayedEventsConfig, VoipConfig
from homeserver.config_kinds import (
    BOOLEAN,
    DURATION,
    NETWORK,
    PATH,
    RATE,
    ROOM_VERSION,
    SERVER_NAME,
    SIZE,
    TEXT,
    choice,
    url,
    whole,
)
from homeserver.config_mail import MailConfig, ThreepidsConfig, WellKnownConfig
from homeserver.config_media import MediaConfig
from homeserver.config_push import PushConfig
from homeserver.config_push_gateway import PushGatewayConfig
from homeserver.config_schema import Listed, setting
from homeserver.config_upstream import LdapConfig, UpstreamConfig
from services.settings import (
    DAY,
    MIB,
    RATE_LIMITS,
    SECOND,
    Accounts,
    Guards,
    Passwords,
    RateLimit,
)

WEB_URL = url("http", "https")
PORT = whole(0, 65_535)
PASSWORDS, ACCOUNTS, GUARDS = Passwords(), Accounts(), Guards()


class Api(Enum):
    """A group of endpoints that a listener may serve."""

    CLIENT = "client"
    FEDERATION = "federation"
    MEDIA = "media"
    ADMIN = "admin"
    METRICS = "metrics"
    PUSH_GATEWAY = "push_gateway"


class LogFormat(Enum):
    """How a log line is written."""

    TEXT = "text"
    JSON = "json"


class LogLevel(Enum):
    """How little may matter and still be logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class ListenerConfig:
    """One port, with or without TLS."""

    address: str = setting(TEXT, "The address to listen on; 0.0.0.0 or :: for all.", "127.0.0.1")
    port: int = setting(PORT, "The port; 0 for any that is free.", 8008)
    tls_certificate: Path | None = setting(
        PATH, "A PEM file with the certificate and its chain; plain HTTP without.", None, optional=True
    )
    tls_key: Path | None = setting(PATH, "A PEM file with the certificate's key.", None, optional=True)
    behind_proxy: bool = setting(
        BOOLEAN,
        "Whether a proxy names the client's address in X-Forwarded-For; true only if nobody gets past the proxy.",
        False,
    )
    apis: tuple[Api, ...] = setting(
        Listed(choice(Api)),
        "What is served here: client, federation, media, admin, metrics (/_hearth/metrics), push_gateway.",
        (Api.CLIENT, Api.FEDERATION, Api.MEDIA, Api.ADMIN),
    )


@dataclass(frozen=True, slots=True)
class DatabaseConfig:
    """Where PostgreSQL is."""

    url: str | None = setting(
        url("postgresql", "postgres"),
        "A PostgreSQL 14 or later; without, one of our own runs in the data folder.",
        None,
        optional=True,
        example="postgresql://hearth:password@db.example.org/hearth",
    )
    connections: int = setting(whole(2, 1000), "At most so many connections a tenant and process.", 10)


@dataclass(frozen=True, slots=True)
class RedisConfig:
    """Where Redis is."""

    url: str | None = setting(
        url("redis", "rediss", "unix"),
        "Needed as soon as several processes serve one database; one alone needs none.",
        None,
        optional=True,
        example="redis://localhost:6379/0",
    )


@dataclass(frozen=True, slots=True)
class OAuthConfig:
    """Logging in on pages of this server."""

    enabled: bool = setting(
        BOOLEAN,
        "Whether clients log in and make accounts on pages of this server (at public_base_url), beside the older ways; "
        "Element X needs it for new accounts and for logins by QR code.",
        True,
    )


@dataclass(frozen=True, slots=True)
class BucketConfig:
    """So many at once, then so many a second."""

    per_second: float = setting(RATE, "Requests a second, in the long run.", 20.0)
    burst: int = setting(whole(1), "Requests at once.", 100)


def _bucket(name: str, sentence: str) -> BucketConfig:
    limit: RateLimit = RATE_LIMITS[name]
    bucket: BucketConfig = setting(BucketConfig, sentence, BucketConfig(limit.per_second, limit.burst))
    return bucket


@dataclass(frozen=True, slots=True)
class RateLimitsConfig:
    """How far a user, or an address that is not logged in, is held back."""

    enabled: bool = setting(BOOLEAN, "false for load tests and closed networks.", True)
    general: BucketConfig = _bucket("general", "What has no class of its own.")
    messages: BucketConfig = _bucket("messages", "Sending events.")
    ephemeral: BucketConfig = _bucket("ephemeral", "Typing, receipts, presence.")
    keys: BucketConfig = _bucket("keys", "Encryption keys.")
    login: BucketConfig = _bucket("login", "Logging in.")
    registration: BucketConfig = _bucket("registration", "Making accounts.")
    joins: BucketConfig = _bucket("joins", "Making and joining rooms.")
    invites: BucketConfig = _bucket("invites", "Inviting others.")
    media: BucketConfig = _bucket("media", "Uploads and downloads.")
    device_share: float = setting(RATE, "How much of it one of the user's devices may take (1: all).", 0.8)
    address_factor: float = setting(
        RATE, "How many times as much all users behind one address may take together.", 20.0
    )


@dataclass(frozen=True, slots=True)
class GuardsConfig:
    """How much of the server one user, or one room, may take."""

    rooms_per_user: int | None = setting(
        whole(1), "Who is in so many rooms joins and makes no more; null: no limit.", GUARDS.rooms_per_user,
        optional=True, example="10000",
    )  # fmt: skip
    members_per_room: int | None = setting(
        whole(1), "A room with so many members takes no more through this server; null: no limit.",
        GUARDS.members_per_room, optional=True, example="50000",
    )  # fmt: skip
    invites_per_hour: int | None = setting(
        whole(1), "How many people one user may invite in an hour; null: no limit.",
        GUARDS.invites_per_hour, optional=True,
    )  # fmt: skip
    connections_per_user: int | None = setting(
        whole(2), "How many requests of one user are served at once, waiting ones included; null: no limit.",
        GUARDS.connections_per_user, optional=True,
    )  # fmt: skip
    info_uri: str | None = setting(
        WEB_URL, "The page that users who meet one of these limits are shown. Without: the public base URL.",
        None, optional=True, example="https://example.org/limits",
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class ServerNoticesConfig:
    """What the server itself tells users, when an administrator has it say something."""

    localpart: str | None = setting(
        TEXT, "The first part of the user ID as whom it speaks; null: it does not.", None, optional=True,
        example="server",
    )  # fmt: skip
    display_name: str = setting(TEXT, "The name of that user.", "Server")
    room_name: str = setting(TEXT, "The name of the room that each user has with it.", "Server notices")
    avatar: str | None = setting(
        TEXT, "The mxc:// URI of the user's and the room's picture.", None, optional=True
    )


@dataclass(frozen=True, slots=True)
class RoomsConfig:
    """Rooms that are made here."""

    default_version: str = setting(ROOM_VERSION, "The version of rooms whose maker names none.", "12")
    keep_redacted: int = setting(
        DURATION,
        "How long those who may redact others' messages can read what these said; 0s: not at all.",
        7 * DAY,
    )


@dataclass(frozen=True, slots=True)
class FederationConfig:
    """Other servers."""

    enabled: bool = setting(BOOLEAN, "Whether this server speaks with others.", True)
    ca_file: Path | None = setting(
        PATH, "A PEM file of certificate authorities to trust besides the system's.", None, optional=True
    )
    allowed_private_networks: tuple[IPv4Network | IPv6Network, ...] = setting(
        Listed(NETWORK), "Private networks in which servers may be asked; others are never.", ()
    )
    verify_certificates: bool = setting(
        BOOLEAN, "false only in tests: anybody can pretend to be anybody.", True
    )
    timeout: int = setting(DURATION, "How long an answer is waited for.", 60 * SECOND)
    share_profiles: bool = setting(
        BOOLEAN, "Whether other servers may look up profiles without sharing a room.", True
    )
    share_device_names: bool = setting(
        BOOLEAN, "Whether other servers see how users call their devices.", False
    )
    send_presence: bool = setting(
        BOOLEAN, "Whether other servers are told which users are there. It is much traffic.", False
    )
    notaries: tuple[str, ...] = setting(
        Listed(SERVER_NAME), "Servers that are asked for the keys of servers that do not answer.", ()
    )
    well_known: str | None = setting(
        SERVER_NAME,
        "What /.well-known/matrix/server tells others: the name, with its port, where they find this server.",
        None,
        optional=True,
        example="matrix.example.org:443",
    )
    max_waiting: int = setting(
        SIZE,
        "How much of what others send may wait, in all rooms together, until what is missing before it has been fetched. Of more "
        "the oldest is dropped, of those first that have sent most; it is fetched when something follows on it.",
        512 * MIB,
    )


@dataclass(frozen=True, slots=True)
class PresenceConfig:
    """Who is online."""

    enabled: bool = setting(BOOLEAN, "Whether users see each other's presence.", True)


@dataclass(frozen=True, slots=True)
class LoggingConfig:
    """What is told on standard error."""

    format: LogFormat = setting(choice(LogFormat), "text for people, json for machines.", LogFormat.TEXT)
    level: LogLevel = setting(choice(LogLevel), "debug, info, warning or error.", LogLevel.INFO)


@dataclass(frozen=True, slots=True)
class TenantConfig:
    """One of several servers in this process; what is not said here is as said for all."""

    server_name: str = setting(SERVER_NAME, "The name that its users' IDs end with; never changes.")
    public_base_url: str | None = setting(WEB_URL, "As above, for this one.", None, optional=True)
    schema: str | None = setting(
        TEXT, "Its PostgreSQL schema; made from its name when not said.", None, optional=True
    )
    signing_key: Path | None = setting(
        PATH, "Its key file; in the data folder, by its name, when not said.", None, optional=True
    )
    registration: RegistrationConfig | None = setting(
        RegistrationConfig, "As above, for this one.", None, optional=True
    )
    appservices: tuple[Path, ...] = setting(Listed(PATH), "As above, for this one.", ())
    mail: MailConfig | None = setting(MailConfig, "As above, for this one.", None, optional=True)
    well_known: WellKnownConfig | None = setting(
        WellKnownConfig, "As above, for this one.", None, optional=True
    )
    upstream_logins: tuple[UpstreamConfig, ...] = setting(
        Listed(UpstreamConfig), "This one's identity providers; those above are not this one's.", ()
    )
    ldap: LdapConfig | None = setting(LdapConfig, "This one's directory.", None, optional=True)
    guards: GuardsConfig | None = setting(GuardsConfig, "As above, for this one.", None, optional=True)
    oauth: OAuthConfig | None = setting(OAuthConfig, "As above, for this one.", None, optional=True)
    threepids: ThreepidsConfig | None = setting(
        ThreepidsConfig, "As above, for this one.", None, optional=True
    )
    media: MediaConfig | None = setting(MediaConfig, "As above, for this one.", None, optional=True)
    push: PushConfig | None = setting(PushConfig, "As above, for this one.", None, optional=True)


@dataclass(frozen=True, slots=True)
class Config:
    """All settings."""

    server_name: str | None = setting(
        SERVER_NAME,
        "The name that users' IDs end with; it can never be changed. Without: localhost and the first port.",
        None,
        optional=True,
        example="example.org",
    )
    public_base_url: str | None = setting(
        WEB_URL,
        "Where clients reach this server. Without: made of the server name.",
        None,
        optional=True,
        example="https://matrix.example.org",
    )
    data_folder: Path = setting(
        PATH, "Where everything is kept that is not in a database elsewhere.", Path("data")
    )
    signing_key: Path | None = setting(
        PATH, "The key file; made in the data folder when not said.", None, optional=True
    )
    listeners: tuple[ListenerConfig, ...] = setting(
        Listed(ListenerConfig), "The ports that are served.", (ListenerConfig(),)
    )
    database: DatabaseConfig = setting(DatabaseConfig, "PostgreSQL.")
    redis: RedisConfig = setting(RedisConfig, "Redis.")
    registration: RegistrationConfig = setting(RegistrationConfig, "Who may make an account.")
    passwords: PasswordsConfig = setting(PasswordsConfig, "What a password hash (Argon2id) costs.")
    accounts: AccountsConfig = setting(AccountsConfig, "How long a login is good for, and how it is shown.")
    oauth: OAuthConfig = setting(OAuthConfig, "The OAuth 2.0 API: logging in on pages of this server.")
    upstream_logins: tuple[UpstreamConfig, ...] = setting(
        Listed(UpstreamConfig),
        "Identity providers with which people log in; for the short form's server only.",
        (),
    )
    ldap: LdapConfig | None = setting(
        LdapConfig,
        "A directory that knows people's passwords; for the short form's server only.",
        None,
        optional=True,
    )
    trusted_clients: tuple[str, ...] = setting(
        Listed(WEB_URL),
        "Addresses of web clients whose users are not asked before m.login.sso lets them in.",
        (),
    )
    rate_limits: RateLimitsConfig = setting(
        RateLimitsConfig,
        "How far users and addresses are held back: so many requests at once, then so many a second.",
    )
    guards: GuardsConfig = setting(GuardsConfig, "How much of the server one user, or one room, may take.")
    rooms: RoomsConfig = setting(RoomsConfig, "Rooms that are made here.")
    federation: FederationConfig = setting(FederationConfig, "Other servers.")
    media: MediaConfig = setting(MediaConfig, "Uploads and downloads.")
    presence: PresenceConfig = setting(PresenceConfig, "Who is online.")
    voip: VoipConfig = setting(VoipConfig, "Voice calls.")
    server_notices: ServerNoticesConfig = setting(
        ServerNoticesConfig, "What the server itself tells users, when an administrator has it say something."
    )
    delayed_events: DelayedEventsConfig = setting(
        DelayedEventsConfig, "Events that the server sends later for a user (MSC4140); calls need them."
    )
    appservices: tuple[Path, ...] = setting(
        Listed(PATH), "Registration files of application services (bridges and bots).", ()
    )
    mail: MailConfig = setting(MailConfig, "The mail server that takes our mails.")
    threepids: ThreepidsConfig = setting(ThreepidsConfig, "E-mail addresses of users, and identity servers.")
    well_known: WellKnownConfig = setting(
        WellKnownConfig, "What /.well-known/matrix tells beside the way to the server."
    )
    push: PushConfig = setting(PushConfig, "How users are told of what they miss, where they asked for it.")
    push_gateway: PushGatewayConfig = setting(
        PushGatewayConfig,
        "The push gateway, for listeners that serve it; see docs/operations/push-gateway.md.",
    )
    logging: LoggingConfig = setting(LoggingConfig, "What is told on standard error.")
    tenants: tuple[TenantConfig, ...] = setting(
        Listed(TenantConfig),
        "Several servers in one process, chosen by Host, instead of server_name above.",
        (),
    )
