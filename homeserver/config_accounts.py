"""The settings of accounts: who may make one, with what password, and how long a login is good for."""

from __future__ import annotations

from dataclasses import dataclass

from homeserver.config_kinds import BOOLEAN, DURATION, SIZE, TEXT, choice, url, whole
from homeserver.config_mail import CaptchaConfig
from homeserver.config_schema import Listed, setting
from services.settings import Accounts, EmailAtRegistration, Passwords, RegistrationMode

PASSWORDS, ACCOUNTS = Passwords(), Accounts()
WEB_URL = url("http", "https")


@dataclass(frozen=True, slots=True)
class PolicyConfig:
    """A document to agree to."""

    name: str = setting(TEXT, "What the document is called.")
    url: str = setting(WEB_URL, "Where it can be read.")


@dataclass(frozen=True, slots=True)
class RegistrationConfig:
    """Who may make an account."""

    mode: RegistrationMode = setting(
        choice(RegistrationMode),
        "open: everybody; token: who has one; closed: nobody.",
        RegistrationMode.CLOSED,
    )
    tokens: tuple[str, ...] = setting(
        Listed(TEXT), "Tokens that are good for an account, any number of times.", ()
    )
    shared_secret: str | None = setting(
        TEXT, "Provisioning tools that know it may make accounts, administrators too.", None, optional=True
    )
    guests: bool = setting(BOOLEAN, "Whether there are guests, who need no account.", False)
    terms: tuple[PolicyConfig, ...] = setting(
        Listed(PolicyConfig), "Documents that whoever makes an account must agree to.", ()
    )
    email: EmailAtRegistration = setting(
        choice(EmailAtRegistration),
        "Whether an e-mail address is verified: none, optional or required; needs mail.",
        EmailAtRegistration.NONE,
    )
    captcha: CaptchaConfig | None = setting(
        CaptchaConfig, "What tells people from machines; without, nothing.", None, optional=True
    )


@dataclass(frozen=True, slots=True)
class PasswordsConfig:
    """What a password hash (Argon2id) costs; the defaults are OWASP's."""

    time_cost: int = setting(whole(1, 100), "Passes over the memory.", PASSWORDS.time_cost)
    memory: int = setting(SIZE, "Memory a hash.", PASSWORDS.memory_kib * 1024)
    parallelism: int = setting(whole(1, 64), "Lanes.", PASSWORDS.parallelism)
    minimum_length: int = setting(whole(1, 512), "Shorter passwords are refused.", PASSWORDS.minimum_length)
    require_digit: bool = setting(BOOLEAN, "Whether there must be a digit.", False)
    require_lowercase: bool = setting(BOOLEAN, "Whether there must be a small letter.", False)
    require_uppercase: bool = setting(BOOLEAN, "Whether there must be a capital.", False)
    require_symbol: bool = setting(
        BOOLEAN, "Whether there must be something that is no letter and no digit.", False
    )


@dataclass(frozen=True, slots=True)
class AccountsConfig:
    """How long a login is good for, and how a request shows it."""

    token_lifetime: int | None = setting(
        DURATION, "Of access tokens of clients that do not refresh; null: for ever.", None, optional=True,
        example="30d",
    )  # fmt: skip
    refreshable_token_lifetime: int = setting(
        DURATION, "Of access tokens of clients that refresh.", ACCOUNTS.refreshable_token_lifetime
    )
    refresh_token_lifetime: int | None = setting(
        DURATION, "Of refresh tokens that are not used; null: for ever.", None, optional=True, example="90d"
    )
    login_token_lifetime: int = setting(
        DURATION, "Of tokens with which a second device logs in.", ACCOUNTS.login_token_lifetime
    )
    uia_lifetime: int = setting(
        DURATION, "Of an interactive authentication that was begun.", ACCOUNTS.uia_lifetime
    )
    token_in_query: bool = setting(
        BOOLEAN,
        "Whether requests may show their access token in the query, where proxies and logs see it; old clients and bots do.",
        True,
    )
