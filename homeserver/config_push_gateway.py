"""Settings of the push gateway, and what can be wrong between them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

from homeserver.config_kinds import BOOLEAN, DURATION, NETWORK, PATH, RATE, TEXT, choice, url, whole
from homeserver.config_schema import Listed, setting
from push_gateway.settings import HOUR, KNOWN_SERVICES, App, Provider, Rate, Settings

SETTINGS = Settings()
EXTRA = ("h2", "http_ece", "joserfc", "cryptography")


@dataclass(frozen=True, slots=True)
class PushAppConfig:
    """One application, or several with the same credentials."""

    id: str = setting(
        TEXT, "The app ID that its pushers name; * stands for any characters. The first that fits counts."
    )
    provider: Provider = setting(choice(Provider), "Who brings the push to the device: fcm, apns or webpush.")
    credentials: Path = setting(
        PATH,
        "A file: the service account (JSON) for fcm, the signing key (.p8) for apns, the VAPID private key (PEM) for webpush.",
    )
    content: bool = setting(
        BOOLEAN,
        "false: the provider is told IDs and counts only, whatever homeservers tell the gateway.",
        True,
    )
    key_id: str | None = setting(TEXT, "For apns: the key's ID.", None, optional=True)
    team_id: str | None = setting(TEXT, "For apns: the team's ID.", None, optional=True)
    topic: str | None = setting(
        TEXT, "For apns: the application's bundle ID; without: its id.", None, optional=True
    )
    sandbox: bool = setting(BOOLEAN, "For apns: whether the devices run development builds.", False)
    contact: str | None = setting(
        url("mailto", "https"), "For webpush: where push services reach you.", None, optional=True
    )
    services: tuple[str, ...] = setting(
        Listed(TEXT), "For webpush: the hosts of push services, * stands for any characters.", KNOWN_SERVICES
    )
    ttl: int = setting(DURATION, "For webpush: how long the push service tries.", 12 * HOUR)
    url: str | None = setting(
        url("https"), "For fcm and apns: where the provider is, for proxies and tests.", None, optional=True
    )
    ca_file: Path | None = setting(
        PATH, "A PEM file of certificate authorities to trust besides the system's.", None, optional=True
    )


@dataclass(frozen=True, slots=True)
class PushRateConfig:
    """So many at once, then so many a second."""

    per_second: float = setting(RATE, "Requests a second, in the long run.", SETTINGS.per_address.per_second)
    burst: int = setting(whole(1), "Requests at once.", SETTINGS.per_address.burst)


@dataclass(frozen=True, slots=True)
class PushGatewayConfig:
    """The push gateway: where listeners say push_gateway."""

    apps: tuple[PushAppConfig, ...] = setting(
        Listed(PushAppConfig), "The applications whose devices are pushed to.", ()
    )
    secret: str | None = setting(
        TEXT, "Homeservers must show it as an access token; without, anybody may ask.", None, optional=True
    )
    homeservers: tuple[IPv4Network | IPv6Network, ...] = setting(
        Listed(NETWORK), "From which addresses it may be asked; empty: from all.", ()
    )
    per_address: PushRateConfig = setting(PushRateConfig, "How often one homeserver may ask.")
    per_pushkey: PushRateConfig = setting(
        PushRateConfig, "How often one device is pushed to.",
        PushRateConfig(SETTINGS.per_pushkey.per_second, SETTINGS.per_pushkey.burst),
    )  # fmt: skip
    concurrency: int = setting(whole(1, 10_000), "How many pushes are made at once.", SETTINGS.concurrency)
    timeout: int = setting(DURATION, "How long a provider's answer is waited for.", SETTINGS.timeout)


def push_gateway_of(config: PushGatewayConfig) -> Settings:
    """The same as the gateway reads it."""
    return Settings(
        apps=tuple(_app(app) for app in config.apps),
        secret=config.secret,
        homeservers=config.homeservers,
        per_address=Rate(config.per_address.per_second, config.per_address.burst),
        per_pushkey=Rate(config.per_pushkey.per_second, config.per_pushkey.burst),
        concurrency=config.concurrency,
        timeout=config.timeout,
    )


def mistakes_in(config: PushAppConfig) -> Iterator[str]:
    """What is wrong in an application's settings, each right by itself."""
    name, provider = config.id, config.provider
    missing = (
        [] if provider is not Provider.APNS else [n for n in ("key_id", "team_id") if not getattr(config, n)]
    )
    if provider is Provider.WEBPUSH and config.contact is None:
        missing.append("contact")
    yield from (f"{name}: {provider.value} needs {one}" for one in missing)
    if provider is Provider.APNS and config.topic is None and "*" in name:
        yield f"{name}: apns needs topic, as the id is a pattern"
    absent = [library for library in EXTRA if find_spec(library) is None]
    if absent:
        yield f"{name}: the push gateway needs the extra: pip install 'hearth[push]' (there is no {', '.join(absent)})"
    for file in (config.credentials, config.ca_file):
        if file is not None and not file.is_file():
            yield f"{name}: there is no file {file}"
    if not absent and config.credentials.is_file():
        yield from (f"{name}: {mistake}" for mistake in _unusable(config))


def _unusable(config: PushAppConfig) -> Iterator[str]:
    # The libraries take 20 MiB: who has no gateway does not load them.
    from push_gateway.credentials import check_credentials
    from push_gateway.signed import CredentialsError

    try:
        check_credentials(_app(config))
    except CredentialsError as error:
        yield str(error)


def _app(config: PushAppConfig) -> App:
    return App(
        id=config.id,
        provider=config.provider,
        credentials=config.credentials,
        content=config.content,
        url=config.url,
        ca_file=config.ca_file,
        key_id=config.key_id,
        team_id=config.team_id,
        topic=config.topic,
        sandbox=config.sandbox,
        contact=config.contact,
        services=config.services,
        ttl=config.ttl,
    )
