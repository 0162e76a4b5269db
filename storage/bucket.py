"""Where a bucket of S3-compatible storage is."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket, and how it is reached; without keys, as the machine's environment says (AWS_ACCESS_KEY_ID, a role, ...)."""

    name: str
    prefix: str = ""
    endpoint: str | None = None
    region: str | None = None
    access_key: str | None = None
    secret_key: str | None = field(default=None, repr=False)
