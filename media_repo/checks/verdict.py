"""Whether a file is let in, and as what."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase

from media_repo.checks.file_names import disguise
from media_repo.checks.nature import Ends, contradiction, is_encrypted, kind_of
from protocol.matrix_error import Forbidden, Unknown
from services.media.scanner import ScannerFailed
from services.media.scanning import found_in
from services.media.settings import Checks, Infected, Mismatch, ScannerDown
from services.observations import BackgroundFailure, Level
from services.tenant import Tenant

OPAQUE = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The type that the file is served as; `quarantined_by` says why nobody is to get it, and `bad_bytes` is its digest where
    equal bytes are as bad under any name: what is wrongly declared may be well declared by others.
    """

    content_type: str
    quarantined_by: str | None = None
    bad_bytes: bytes | None = None


async def judge(
    tenant: Tenant, digest: bytes, size: int, content_type: str, file_name: str | None
) -> Verdict:
    """What becomes of the blob, by the settings. Raises Forbidden, Unknown (502) when it cannot be scanned."""
    ends = Ends(
        b"".join([chunk async for chunk in tenant.blobs.read(digest, 0, min(size, Ends.HEAD))]),
        b"".join([chunk async for chunk in tenant.blobs.read(digest, max(0, size - Ends.TAIL), size)]),
        size,
    )
    checks = tenant.settings.media.checks
    infection = await _scanned(tenant, digest)
    if infection is not None:
        return Verdict(OPAQUE, infection, digest)
    verdict = await tenant.compute.run(_judged, checks, ends, content_type, file_name)
    if isinstance(verdict, str):
        raise Forbidden(verdict)
    return verdict


async def _scanned(tenant: Tenant, digest: bytes) -> str | None:
    checks = tenant.settings.media.checks
    try:
        found = await found_in(tenant, digest)
    except ScannerFailed as failed:
        tenant.observe(BackgroundFailure("virus scanner", failed, Level.WARNING))
        if checks.scanner_down is ScannerDown.ALLOW:
            return None
        raise Unknown("Files cannot be taken now: the virus scanner does not answer", status=502) from None
    if found is not None and checks.infected is Infected.BLOCK:
        raise Forbidden("The virus scanner has found something in this file")
    return None if found is None else f"virus scanner: {found}"


def _judged(checks: Checks, ends: Ends, content_type: str, file_name: str | None) -> Verdict | str:
    """The verdict, or why the file is refused."""
    declared = content_type.partition(";")[0].strip().lower()
    found = kind_of(ends)
    kinds = [declared] if found is None else [declared, found]
    if any(_is_among(kind, checks.blocked_types) for kind in kinds):
        return "Files of this type are not taken"
    if checks.allowed_types and not _is_among(declared, checks.allowed_types):
        return "Files of this type are not taken"
    problem = contradiction(declared, found, ends) or disguise(file_name, declared, found)
    if problem is None:
        return Verdict(content_type)
    if declared == OPAQUE and checks.mismatch is Mismatch.OPAQUE:
        return Verdict(content_type)
    # What some client has encrypted and yet calls by its type is no disguise: nobody is fooled by noise.
    if checks.mismatch is Mismatch.OPAQUE or (found is None and is_encrypted(ends)):
        return Verdict(OPAQUE)
    if checks.mismatch is Mismatch.BLOCK:
        return f"This file is not what it says it is: {problem}"
    return Verdict(OPAQUE, f"not what it says it is: {problem}")


def _is_among(kind: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(kind, pattern.lower()) for pattern in patterns)
