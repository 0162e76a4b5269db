"""The settings of mail, third-party identifiers, the captcha and /.well-known, and what services read of them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from homeserver.config_kinds import BOOLEAN, DURATION, PATH, SERVER_NAME, TEXT, choice, url, whole
from homeserver.config_schema import Listed, setting
from services.settings import Captcha, Contact, Mail, MailKind, MailTls, Threepids, WellKnown

MAIL, THREEPIDS = Mail(), Threepids()
WEB_URL = url("http", "https")


@dataclass(frozen=True, slots=True)
class MailConfig:
    """The mail server that takes our mails."""

    host: str | None = setting(
        TEXT, "The mail server; without, no mail is sent.", None, optional=True, example="mail.example.org"
    )
    port: int = setting(whole(1, 65_535), "Its port; 465 with tls.", MAIL.port)
    tls: MailTls = setting(
        choice(MailTls), "starttls: begun in the clear; tls: from the first byte; none: never.", MAIL.tls
    )
    ca_file: Path | None = setting(
        PATH, "A PEM file of certificate authorities to trust besides the system's.", None, optional=True
    )
    user: str | None = setting(TEXT, "The name to log in with; without, nobody logs in.", None, optional=True)
    password: str | None = setting(TEXT, "The password for it.", None, optional=True)
    sender: str | None = setting(
        TEXT,
        "Whom mails are from; without, noreply at the server name.",
        None,
        optional=True,
        example='"Example <noreply@example.org>"',
    )
    service: str | None = setting(
        TEXT, "What this server is called in mails; without, by its name.", None, optional=True
    )
    sends: tuple[MailKind, ...] = setting(
        Listed(choice(MailKind)),
        "verification: of addresses, and for new passwords; notifications: of missed messages.",
        tuple(MailKind),
    )


@dataclass(frozen=True, slots=True)
class ThreepidsConfig:
    """E-mail addresses of users, and identity servers."""

    session_lifetime: int = setting(
        DURATION, "How long a link in a mail is good for.", THREEPIDS.session_lifetime
    )
    hide_known: bool = setting(
        BOOLEAN, "Whether strangers cannot learn which addresses have an account here.", THREEPIDS.hide_known
    )
    allowed_domains: tuple[str, ...] = setting(
        Listed(TEXT), "The domains that users' addresses may be of; any where none is named.", ()
    )
    next_link_hosts: tuple[str, ...] = setting(
        Listed(TEXT),
        "Hosts that people are sent on to from a link in a mail; to others they go by a click.",
        (),
    )
    identity_servers_enabled: bool = setting(
        BOOLEAN,
        "Whether users may work with identity servers through this one.",
        THREEPIDS.identity_servers_enabled,
    )
    identity_servers: tuple[str, ...] = setting(
        Listed(SERVER_NAME), "The identity servers that they may choose; any where none is named.", ()
    )


class CaptchaProvider(Enum):
    """Who tells people from machines."""

    RECAPTCHA = "recaptcha"
    HCAPTCHA = "hcaptcha"
    TURNSTILE = "turnstile"


_PROVIDERS = {
    CaptchaProvider.RECAPTCHA: (
        "https://www.google.com/recaptcha/api.js",
        "https://www.google.com/recaptcha/api/siteverify",
        "g-recaptcha",
        "g-recaptcha-response",
    ),
    CaptchaProvider.HCAPTCHA: (
        "https://js.hcaptcha.com/1/api.js",
        "https://api.hcaptcha.com/siteverify",
        "h-captcha",
        "h-captcha-response",
    ),
    CaptchaProvider.TURNSTILE: (
        "https://challenges.cloudflare.com/turnstile/v0/api.js",
        "https://challenges.cloudflare.com/turnstile/v0/siteverify",
        "cf-turnstile",
        "cf-turnstile-response",
    ),
}


@dataclass(frozen=True, slots=True)
class CaptchaConfig:
    """What tells people from machines when an account is made."""

    site_key: str = setting(TEXT, "The key that browsers show.")
    secret: str = setting(TEXT, "The key that only this server knows.")
    provider: CaptchaProvider = setting(
        choice(CaptchaProvider),
        "Whose it is, or is compatible with: recaptcha, hcaptcha, turnstile.",
        CaptchaProvider.RECAPTCHA,
    )
    script_url: str | None = setting(WEB_URL, "The script, if not the provider's.", None, optional=True)
    verify_url: str | None = setting(
        url("https"), "Where answers are verified, if not at the provider's.", None, optional=True
    )


@dataclass(frozen=True, slots=True)
class ContactConfig:
    """Somebody who answers for this server."""

    role: str = setting(TEXT, "m.role.admin, m.role.security, or one of your own.", "m.role.admin")
    matrix_id: str | None = setting(TEXT, "A user ID; may be of another server.", None, optional=True)
    email_address: str | None = setting(TEXT, "An e-mail address.", None, optional=True)


@dataclass(frozen=True, slots=True)
class WellKnownConfig:
    """What /.well-known/matrix tells beside the way to the server."""

    contacts: tuple[ContactConfig, ...] = setting(
        Listed(ContactConfig), "Whom to turn to about this server.", ()
    )
    support_page: str | None = setting(WEB_URL, "A page that helps its users.", None, optional=True)
    policy_server_key: str | None = setting(
        TEXT,
        "The ed25519 key (base64) of a policy server that has the same name as this server.",
        None,
        optional=True,
    )


def mail_of(config: MailConfig) -> Mail:
    """What services read of it."""
    return Mail(
        config.host,
        config.port,
        config.tls,
        config.ca_file,
        config.user,
        config.password,
        config.sender or "",
        config.service or "",
        frozenset(config.sends),
    )


def threepids_of(config: ThreepidsConfig) -> Threepids:
    """What services read of it."""
    return Threepids(
        config.session_lifetime,
        config.hide_known,
        tuple(domain.lower() for domain in config.allowed_domains),
        tuple(host.lower() for host in config.next_link_hosts),
        config.identity_servers_enabled,
        tuple(server.lower() for server in config.identity_servers),
    )


def captcha_of(config: CaptchaConfig | None) -> Captcha | None:
    """What services read of it."""
    if config is None:
        return None
    script_url, verify_url, element_class, field = _PROVIDERS[config.provider]
    return Captcha(
        config.site_key,
        config.secret,
        config.script_url or script_url,
        config.verify_url or verify_url,
        element_class,
        field,
    )


def well_known_of(config: WellKnownConfig) -> WellKnown:
    """What services read of it; contacts that cannot be reached are left out."""
    contacts = [Contact(one.role, one.matrix_id, one.email_address) for one in config.contacts]
    reachable = tuple(one for one in contacts if one.matrix_id or one.email_address)
    return WellKnown(reachable, config.support_page, config.policy_server_key)
