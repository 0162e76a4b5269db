"""The tenants that a configuration names: for each its settings, its schema and the file of its key."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from homeserver.config import (
    Config,
    GuardsConfig,
    RateLimitsConfig,
    ServerNoticesConfig,
    TenantConfig,
)
from homeserver.config_accounts import RegistrationConfig
from homeserver.config_mail import captcha_of, mail_of, threepids_of, well_known_of
from homeserver.config_media import media_of
from homeserver.config_push import push_of
from homeserver.config_upstream import upstream_of
from services.settings import (
    RATE_LIMITS,
    Accounts,
    DelayedEvents,
    Federation,
    Guards,
    OAuth,
    Passwords,
    RateLimit,
    RateLimits,
    Registration,
    ServerNotices,
    Settings,
    Voip,
)

MAX_SCHEMA = 63
"""Bytes of a name in PostgreSQL."""


@dataclass(frozen=True, slots=True)
class TenantPlan:
    """What one tenant is to be made of."""

    settings: Settings
    schema: str
    key_file: Path
    """The key; those that it replaced stand in a file beside it, whose name ends with `.old`."""


def plans(config: Config) -> tuple[TenantPlan, ...]:
    """One for each server name."""
    return tuple(_plan(config, tenant) for tenant in config.tenants or (_only(config),))


def schema_of(server_name: str) -> str:
    """The schema of a server name: readable, and different for different names."""
    readable = re.sub(r"[^a-z0-9]+", "_", server_name.lower()).strip("_")
    digest = hashlib.sha256(server_name.encode()).hexdigest()[:8]
    return f"hearth_{readable[: MAX_SCHEMA - len('hearth__') - len(digest)]}_{digest}"


def media_folder(config: Config, server_name: str) -> Path:
    """Where a tenant's media lie."""
    return config.data_folder / "media" / _file_name(server_name)


def _only(config: Config) -> TenantConfig:
    """The short form's one tenant."""
    return TenantConfig(
        server_name=config.server_name or _of_a_trial(config.listeners[0].port),
        public_base_url=config.public_base_url,
        signing_key=config.signing_key,
        upstream_logins=config.upstream_logins,
        ldap=config.ldap,
    )


def _of_a_trial(port: int) -> str:
    return f"localhost:{port}" if port else "localhost"


def _plan(config: Config, tenant: TenantConfig) -> TenantPlan:
    name = tenant.server_name
    settings = Settings(
        server_name=name,
        public_base_url=(tenant.public_base_url or _base_url(config, name)).rstrip("/"),
        media=media_of(tenant.media or config.media, media_folder(config, name)),
        default_room_version=config.rooms.default_version,
        redacted_kept=config.rooms.keep_redacted,
        registration=_registration(tenant.registration or config.registration),
        passwords=Passwords(
            config.passwords.time_cost,
            config.passwords.memory // 1024,
            config.passwords.parallelism,
            config.passwords.minimum_length,
            config.passwords.require_digit,
            config.passwords.require_lowercase,
            config.passwords.require_uppercase,
            config.passwords.require_symbol,
        ),
        accounts=Accounts(
            config.accounts.token_lifetime,
            config.accounts.refreshable_token_lifetime,
            config.accounts.refresh_token_lifetime,
            config.accounts.login_token_lifetime,
            config.accounts.uia_lifetime,
            config.accounts.token_in_query,
        ),
        rate_limits=_rate_limits(config.rate_limits),
        guards=_guards(tenant.guards or config.guards),
        federation=Federation(
            config.federation.enabled,
            config.federation.ca_file,
            config.federation.allowed_private_networks,
            config.federation.verify_certificates,
            config.federation.timeout,
            config.federation.share_profiles,
            config.federation.share_device_names,
            config.federation.notaries,
            config.federation.well_known,
            config.federation.send_presence,
            config.federation.max_waiting,
        ),
        presence_enabled=config.presence.enabled,
        appservice_files=(*config.appservices, *tenant.appservices),
        server_notices=_server_notices(config.server_notices, name),
        mail=mail_of(tenant.mail or config.mail),
        threepids=threepids_of(tenant.threepids or config.threepids),
        well_known=well_known_of(tenant.well_known or config.well_known),
        oauth=OAuth((tenant.oauth or config.oauth).enabled),
        upstream=upstream_of(tenant.upstream_logins, tenant.ldap, config.trusted_clients),
        push=push_of(tenant.push or config.push),
        voip=Voip(
            config.voip.turn_uris,
            config.voip.turn_shared_secret,
            config.voip.turn_lifetime,
            config.voip.livekit_services,
        ),
        delayed_events=DelayedEvents(
            config.delayed_events.enabled,
            config.delayed_events.max_delay,
            config.delayed_events.max_scheduled,
        ),
    )
    key_file = tenant.signing_key or config.data_folder / "keys" / f"{_file_name(name)}.key"
    return TenantPlan(settings, tenant.schema or schema_of(name), key_file)


def _registration(config: RegistrationConfig) -> Registration:
    return Registration(
        config.mode,
        frozenset(config.tokens),
        config.shared_secret,
        config.guests,
        MappingProxyType({policy.name: policy.url for policy in config.terms}),
        config.email,
        captcha_of(config.captcha),
    )


def _rate_limits(config: RateLimitsConfig) -> RateLimits:
    buckets = {name: getattr(config, name) for name in RATE_LIMITS}
    limits = {name: RateLimit(bucket.per_second, bucket.burst) for name, bucket in buckets.items()}
    return RateLimits(config.enabled, MappingProxyType(limits), config.device_share, config.address_factor)


def _guards(config: GuardsConfig) -> Guards:
    return Guards(
        config.rooms_per_user,
        config.members_per_room,
        config.invites_per_hour,
        config.connections_per_user,
        config.info_uri,
    )


def _server_notices(config: ServerNoticesConfig, server_name: str) -> ServerNotices | None:
    if config.localpart is None:
        return None
    return ServerNotices(
        f"@{config.localpart}:{server_name}", config.display_name, config.room_name, config.avatar
    )


def _base_url(config: Config, server_name: str) -> str:
    """A guess: TLS, but for a trial on this very machine without a certificate."""
    with_tls = any(listener.tls_certificate for listener in config.listeners)
    local = re.fullmatch(r"(localhost|.*\.localhost|127\.[0-9.]+|\[::1\])(:\d+)?", server_name)
    return f"{'http' if local and not with_tls else 'https'}://{server_name}"


def _file_name(server_name: str) -> str:
    return server_name.replace(":", "_").replace("[", "").replace("]", "")
