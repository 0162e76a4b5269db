"""What services read of the configuration, a value a concern; durations in milliseconds, sizes in bytes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from types import MappingProxyType

from services.media.settings import Checks, Previews, Thumbnails
from services.upstream.settings import Upstream
from storage.bucket import Bucket

SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
MIB = 1024 * 1024


class RegistrationMode(Enum):
    """Who may make an account through the client API."""

    OPEN = "open"
    CLOSED = "closed"
    TOKEN = "token"


class EmailAtRegistration(Enum):
    """Whether whoever makes an account gives an e-mail address."""

    NONE = "none"
    OPTIONAL = "optional"
    REQUIRED = "required"


@dataclass(frozen=True, slots=True)
class Captcha:
    """A provider that tells people from machines, as reCAPTCHA, hCaptcha and Turnstile do."""

    site_key: str
    secret: str
    script_url: str
    verify_url: str
    element_class: str
    field: str  # of the form that the script fills in


@dataclass(frozen=True, slots=True)
class Registration:
    """How accounts come to be; the shared secret serves provisioning tools in every mode."""

    mode: RegistrationMode = RegistrationMode.CLOSED
    tokens: frozenset[str] = frozenset()
    shared_secret: str | None = None
    guests: bool = False
    terms: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))  # policy name -> URL
    email: EmailAtRegistration = EmailAtRegistration.NONE
    captcha: Captcha | None = None


@dataclass(frozen=True, slots=True)
class Passwords:
    """The cost of an Argon2id hash (OWASP's parameters) and the shortest password that is taken."""

    time_cost: int = 2
    memory_kib: int = 19_456
    parallelism: int = 1
    minimum_length: int = 8
    require_digit: bool = False
    require_lowercase: bool = False
    require_uppercase: bool = False
    require_symbol: bool = False


@dataclass(frozen=True, slots=True)
class Accounts:
    """How long what a login gives out is good for (None means for ever), and whether the query may show the token."""

    token_lifetime: int | None = None  # of access tokens of clients that do not refresh
    refreshable_token_lifetime: int = 5 * MINUTE
    refresh_token_lifetime: int | None = None
    login_token_lifetime: int = 2 * MINUTE
    uia_lifetime: int = 15 * MINUTE
    token_in_query: bool = True


@dataclass(frozen=True, slots=True)
class RateLimit:
    """A leaky bucket: so many at once, then so many a second."""

    per_second: float
    burst: int


DEFAULT_CLASS = "general"
RATE_LIMITS: Mapping[str, RateLimit] = MappingProxyType(
    {
        DEFAULT_CLASS: RateLimit(per_second=20.0, burst=100),
        "messages": RateLimit(per_second=10.0, burst=100),
        "ephemeral": RateLimit(per_second=20.0, burst=100),
        "keys": RateLimit(per_second=20.0, burst=100),
        "login": RateLimit(per_second=0.2, burst=10),
        "registration": RateLimit(per_second=0.2, burst=10),
        "joins": RateLimit(per_second=1.0, burst=20),
        "invites": RateLimit(per_second=1.0, burst=50),
        "media": RateLimit(per_second=5.0, burst=50),
    }
)


@dataclass(frozen=True, slots=True)
class RateLimits:
    """Whether callers are held back, and how far for each class of endpoint (`web.endpoint.RATE_CLASSES`).

    A class's bucket is a user's; one device may take a share of it, so that a bot that has gone mad leaves its owner's
    telephone some, and an address, behind which many users may be, so many times as much.
    """

    enabled: bool = True
    classes: Mapping[str, RateLimit] = field(default_factory=lambda: RATE_LIMITS)
    device_share: float = 0.8
    address_factor: float = 20.0

    def limit(self, name: str) -> RateLimit:
        """The bucket of a class; one that is not configured has the default's."""
        return self.classes.get(name) or self.classes.get(DEFAULT_CLASS) or RATE_LIMITS[DEFAULT_CLASS]


@dataclass(frozen=True, slots=True)
class Guards:
    """How much one user, or one room, may take of the server; None is no limit."""

    rooms_per_user: int | None = None
    members_per_room: int | None = None
    invites_per_hour: int | None = 500
    connections_per_user: int | None = 100
    info_uri: str | None = None


@dataclass(frozen=True, slots=True)
class ServerNotices:
    """As whom the server speaks to its users, and where."""

    user_id: str
    display_name: str
    room_name: str
    avatar: str | None = None


@dataclass(frozen=True, slots=True)
class Federation:
    """Whether and how this server speaks with others."""

    enabled: bool = True
    ca_file: Path | None = None
    allowed_private_networks: tuple[IPv4Network | IPv6Network, ...] = ()
    verify_certificates: bool = True
    timeout: int = 60 * SECOND
    share_profiles: bool = True
    share_device_names: bool = False
    notaries: tuple[str, ...] = ()
    well_known: str | None = None
    send_presence: bool = False
    max_waiting: int = 512 * MIB


class LegacyDownloads(Enum):
    """Whose files the endpoints without authentication give out (§Content repository, v1.11: they are frozen)."""

    FROZEN = "frozen"
    OPEN = "open"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class Media:
    """What may be uploaded, the folder (or bucket) it goes to, who gets it, and how long it is kept (None: for ever)."""

    folder: Path
    max_upload: int = 50 * MIB
    max_pixels: int = 32 * 1024 * 1024
    remote_cache: int = 5 * 1024 * MIB
    bucket: Bucket | None = None
    max_pending: int = 10
    pending_lifetime: int = DAY
    user_quota: int | None = None
    total_quota: int | None = None
    legacy_downloads: LegacyDownloads = LegacyDownloads.FROZEN
    frozen_from: int | None = None  # ms since 1970
    blocked_servers: tuple[str, ...] = ()  # with * and ?
    local_lifetime: int | None = None
    remote_lifetime: int | None = None
    delete_with_events: bool = False
    previews: Previews = field(default_factory=Previews)
    thumbnails: Thumbnails = field(default_factory=Thumbnails)
    checks: Checks = field(default_factory=Checks)


@dataclass(frozen=True, slots=True)
class Voip:
    """The TURN servers of voice calls, the secret that they share with us (the «TURN REST API»), and LiveKit services."""

    turn_uris: tuple[str, ...] = ()
    shared_secret: str | None = None
    lifetime: int = DAY
    livekit_services: tuple[str, ...] = ()

    @property
    def rtc_transports(self) -> list[dict[str, str]]:
        """How MatrixRTC clients are told of them (MSC4143, MSC4519)."""
        return [{"type": "livekit", "livekit_service_url": url} for url in self.livekit_services]


@dataclass(frozen=True, slots=True)
class DelayedEvents:
    """Whether users may leave events to be sent later (MSC4140), by how much, and how many at a time."""

    enabled: bool = True
    max_delay: int = DAY
    max_scheduled: int = 100


class MailTls(Enum):
    """How the connection to the mail server is kept secret."""

    STARTTLS = "starttls"
    TLS = "tls"
    NONE = "none"


class MailKind(Enum):
    """What a mail is about."""

    VERIFICATION = "verification"
    NOTIFICATIONS = "notifications"


@dataclass(frozen=True, slots=True)
class Mail:
    """The mail server that takes our mails, and which of them are sent; without a host, none."""

    host: str | None = None
    port: int = 587
    tls: MailTls = MailTls.STARTTLS
    ca_file: Path | None = None
    user: str | None = None
    password: str | None = None
    sender: str = ""  # noreply at the server name when empty
    service: str = ""  # what the server is called in mails; its name when empty
    sends: frozenset[MailKind] = frozenset(MailKind)


@dataclass(frozen=True, slots=True)
class Threepids:
    """Third-party identifiers: who may have which, and which identity servers we speak with."""

    session_lifetime: int = DAY
    hide_known: bool = False
    allowed_domains: tuple[str, ...] = ()
    next_link_hosts: tuple[str, ...] = ()
    identity_servers_enabled: bool = True
    identity_servers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Contact:
    """Somebody who answers for this server."""

    role: str
    matrix_id: str | None = None
    email_address: str | None = None


@dataclass(frozen=True, slots=True)
class WellKnown:
    """What /.well-known/matrix/support and policy_server tell."""

    contacts: tuple[Contact, ...] = ()
    support_page: str | None = None
    policy_server_key: str | None = None


@dataclass(frozen=True, slots=True)
class OAuth:
    """Whether clients may log in through our own OAuth 2.0 provider, beside the older way."""

    enabled: bool = True


@dataclass(frozen=True, slots=True)
class Push:
    """How users are told of what they miss: push gateways that are in private networks or speak plain HTTP, and secrets that
    gateways ask for, both by the whole URL that pushers name; and how long a message is unread before a mail speaks of it.
    """

    private_gateways: tuple[str, ...] = ()
    gateway_secrets: Mapping[str, str] = field(default_factory=dict)
    mail_delay: int = HOUR


@dataclass(frozen=True, slots=True)
class Settings:
    """All that one tenant's services read of the configuration."""

    server_name: str
    public_base_url: str
    media: Media
    default_room_version: str = "12"
    registration: Registration = field(default_factory=Registration)
    passwords: Passwords = field(default_factory=Passwords)
    accounts: Accounts = field(default_factory=Accounts)
    rate_limits: RateLimits = field(default_factory=RateLimits)
    guards: Guards = field(default_factory=Guards)
    federation: Federation = field(default_factory=Federation)
    presence_enabled: bool = True
    appservice_files: tuple[Path, ...] = ()
    voip: Voip = field(default_factory=Voip)
    server_notices: ServerNotices | None = None
    delayed_events: DelayedEvents = field(default_factory=DelayedEvents)
    redacted_kept: int = 7 * DAY  # what redacted events said, for the moderators of their room; 0: not at all
    mail: Mail = field(default_factory=Mail)
    threepids: Threepids = field(default_factory=Threepids)
    well_known: WellKnown = field(default_factory=WellKnown)
    oauth: OAuth = field(default_factory=OAuth)
    upstream: Upstream = field(default_factory=Upstream)
    push: Push = field(default_factory=Push)
