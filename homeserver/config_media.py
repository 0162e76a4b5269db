"""The settings of the content repository."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import UTC, date, datetime
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Any, TypeVar

from homeserver.config_kinds import (
    BOOLEAN,
    DURATION,
    NETWORK,
    PORTS,
    SIZE,
    TEXT,
    Kind,
    choice,
    quoted,
    url,
    whole,
)
from homeserver.config_schema import Listed, setting
from homeserver.config_source import Scalar
from services.media.settings import Checks, Infected, Mismatch, Previews, ScannerDown, Thumbnails
from services.settings import DAY, HOUR, MIB, MINUTE, SECOND, LegacyDownloads, Media
from storage.bucket import Bucket

T = TypeVar("T")


def _midnight(value: Scalar) -> int:
    day = date.fromisoformat(str(value))
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() * 1000)


DATE = Kind(
    "a date such as 2026-01-31",
    _midnight,
    lambda at: quoted(f"{datetime.fromtimestamp(at / 1000, UTC):%Y-%m-%d}"),
)


@dataclass(frozen=True, slots=True)
class S3Config:
    """A bucket of S3-compatible storage."""

    bucket: str | None = setting(
        TEXT, "The bucket that files are kept in, instead of the data folder (needs hearth[s3]).", None,
        optional=True, example="hearth-media",
    )  # fmt: skip
    prefix: str | None = setting(
        TEXT, "What the names of objects begin with.", None, optional=True, example="hearth/"
    )
    endpoint: str | None = setting(
        url("http", "https"), "Where it is, unless it is Amazon's.", None, optional=True,
        example="https://s3.example.org",
    )  # fmt: skip
    region: str | None = setting(TEXT, "Its region.", None, optional=True)
    access_key: str | None = setting(
        TEXT, "The key's name; without, as the machine's environment says.", None, optional=True
    )
    secret_key: str | None = setting(TEXT, "The key.", None, optional=True)


@dataclass(frozen=True, slots=True)
class PreviewsConfig:
    """What pages tell of themselves, for users who see a link."""

    enabled: bool = setting(
        BOOLEAN,
        "Whether the server looks at pages for its users; it then connects to whatever they name.",
        False,
    )
    denied_domains: tuple[str, ...] = setting(
        Listed(TEXT), "Sites (with * and ?; subdomains included) that are not looked at.", ()
    )
    allowed_domains: tuple[str, ...] = setting(
        Listed(TEXT), "Where this is not empty, no others are looked at.", ()
    )
    languages: str = setting(TEXT, "What pages are asked for (Accept-Language) unless the client says.", "en")
    ports: tuple[range, ...] = setting(
        Listed(PORTS), "The ports that sites are asked at.", (range(80, 81), range(443, 444))
    )
    allowed_private_networks: tuple[IPv4Network | IPv6Network, ...] = setting(
        Listed(NETWORK),
        "Private networks whose pages may be looked at; what is private stays out by itself.",
        (),
    )
    max_page: int = setting(SIZE, "So much of a page is read.", MIB)
    max_image: int = setting(SIZE, "Larger pictures of pages are left out.", 10 * MIB)
    timeout: int = setting(DURATION, "How long a page, its pictures included, may take.", 15 * SECOND)
    lifetime: int = setting(DURATION, "For so long a page is not looked at again.", HOUR)
    kept: int = setting(DURATION, "For so long previews are kept, for messages of their time.", 30 * DAY)


@dataclass(frozen=True, slots=True)
class ThumbnailsConfig:
    """Smaller pictures, made by processes of their own."""

    processes: int = setting(whole(1, 64), "How many processes decode pictures (and pages), at most.", 2)
    memory: int = setting(SIZE, "How much memory each of them may have.", 1024 * MIB)
    timeout: int = setting(DURATION, "After so long one that is at a picture is killed.", 10 * SECOND)
    largest_dynamic: int | None = setting(
        whole(64, 4096),
        "Up to this side pictures are made of any size that is asked for, in steps of 64 pixels; null: of the usual sizes only.",
        None,
        optional=True,
        example="1024",
    )


@dataclass(frozen=True, slots=True)
class ChecksConfig:
    """What may be uploaded, and fetched from other servers."""

    mismatch: Mismatch = setting(
        choice(Mismatch),
        "What becomes of a file that is not what it says it is: opaque: it can only be saved; block: it is refused; quarantine: "
        "it is kept, and nobody gets it.",
        Mismatch.OPAQUE,
    )
    allowed_types: tuple[str, ...] = setting(
        Listed(TEXT),
        "Where this is not empty, only these types (with * and ?) are taken; encrypted files are application/octet-stream.",
        (),
    )
    blocked_types: tuple[str, ...] = setting(
        Listed(TEXT),
        "Types (with * and ?) that are refused, whether they are declared or found in the bytes.",
        (),
    )
    scanner: str | None = setting(
        url("tcp", "unix"), "ClamAV's clamd, that scans every file.", None, optional=True,
        example="tcp://localhost:3310",
    )  # fmt: skip
    scanner_down: ScannerDown = setting(
        choice(ScannerDown), "What becomes of files when it does not answer.", ScannerDown.REFUSE
    )
    infected: Infected = setting(
        choice(Infected), "What becomes of files in which it finds something.", Infected.QUARANTINE
    )
    scanner_timeout: int = setting(DURATION, "How long it may take for a file.", MINUTE)


@dataclass(frozen=True, slots=True)
class MediaConfig:
    """Uploads and downloads."""

    max_upload: int = setting(SIZE, "The largest file that may be uploaded.", 50 * MIB)
    max_pixels: int = setting(whole(1), "Images with more pixels get no thumbnail.", 32 * MIB)
    remote_cache: int = setting(
        SIZE,
        "How much is kept of other servers' files; what was used longest ago goes first.",
        5 * 1024 * MIB,
    )
    previews: PreviewsConfig = setting(
        PreviewsConfig, "What pages tell of themselves, for users who see a link."
    )
    thumbnails: ThumbnailsConfig = setting(ThumbnailsConfig, "Smaller pictures.")
    checks: ChecksConfig = setting(ChecksConfig, "What may be uploaded, and fetched from other servers.")
    s3: S3Config = setting(S3Config, "Keeping files in S3-compatible storage.")
    max_pending: int = setting(
        whole(1), "How many files one user may have announced that have not been uploaded yet.", 10
    )
    pending_lifetime: int = setting(DURATION, "How long an announced file may take to come.", DAY)
    user_quota: int | None = setting(
        SIZE, "How much the files of one user may have together; null: no limit.", None, optional=True,
        example="5G",
    )  # fmt: skip
    total_quota: int | None = setting(
        SIZE, "How much all files that were uploaded here may have together; null: no limit.", None,
        optional=True, example="500G",
    )  # fmt: skip
    legacy_downloads: LegacyDownloads = setting(
        choice(LegacyDownloads),
        "What is given to those who show no token: frozen: files from before frozen_from; open: all; off: none.",
        LegacyDownloads.FROZEN,
    )
    frozen_from: int | None = setting(
        DATE, "Files that came from that day on need a token; null: all do.", None, optional=True,
        example="2026-01-31",
    )  # fmt: skip
    blocked_servers: tuple[str, ...] = setting(
        Listed(TEXT), "Servers (with * and ?) whose files are not given to anybody.", ()
    )
    local_lifetime: int | None = setting(
        DURATION, "Files of ours that nobody asked for so long are deleted; null: never.", None, optional=True,
        example="365d",
    )  # fmt: skip
    remote_lifetime: int | None = setting(
        DURATION, "The same of other servers' files, which can be fetched again.", None, optional=True,
        example="90d",
    )  # fmt: skip
    delete_with_events: bool = setting(
        BOOLEAN,
        "Whether a file goes when the last event that named it is redacted (rooms.keep_redacted later). Encrypted events "
        "name files that the server cannot see.",
        False,
    )


def media_of(config: MediaConfig, folder: Path) -> Media:
    """What services read of it; a tenant's files lie in the folder."""
    return Media(
        folder,
        config.max_upload,
        config.max_pixels,
        config.remote_cache,
        bucket=_bucket(config.s3, folder),
        max_pending=config.max_pending,
        pending_lifetime=config.pending_lifetime,
        user_quota=config.user_quota,
        total_quota=config.total_quota,
        legacy_downloads=config.legacy_downloads,
        frozen_from=config.frozen_from,
        blocked_servers=config.blocked_servers,
        local_lifetime=config.local_lifetime,
        remote_lifetime=config.remote_lifetime,
        delete_with_events=config.delete_with_events,
        previews=_as(Previews, config.previews),
        thumbnails=_as(Thumbnails, config.thumbnails),
        checks=_as(Checks, config.checks),
    )


def _as(settings: type[T], config: Any) -> T:
    """Settings that are called as they are in the configuration."""
    return settings(**{field.name: getattr(config, field.name) for field in fields(config)})


def _bucket(config: S3Config, folder: Path) -> Bucket | None:
    """Each tenant has its own part of the bucket, named as its folder is."""
    if config.bucket is None:
        return None
    prefix = f"{config.prefix or ''}{folder.name}/"
    return Bucket(config.bucket, prefix, config.endpoint, config.region, config.access_key, config.secret_key)
