"""The virus scanner: what it finds is put away, equal bytes are scanned once, and what happens while it does not answer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from services.media.settings import Checks, Infected, ScannerDown
from services.settings import Media
from tests.fixtures.clamav import CLAMD, INFECTED, FakeClamd, real_clamd
from tests.fixtures.homeserver import Homeserver, MakeHomeserver
from tests.media_repo.pictures import fetch, upload

UPLOAD = "/_matrix/media/v3/upload"


@pytest.fixture(params=["stand-in", "clamd"])
async def scanner(request: pytest.FixtureRequest, tmp_path_factory: Any) -> AsyncIterator[str]:
    """The address of a scanner."""
    if request.param == "stand-in":
        async with FakeClamd() as clamd:
            yield clamd.address
    elif CLAMD is None:
        pytest.skip("there is no clamd here (scripts/test gets it on Debian)")
    else:
        async with real_clamd(tmp_path_factory.mktemp("clamd")) as address:
            yield address


async def with_scanner(make: MakeHomeserver, folder: Path, address: str, **checks: Any) -> Homeserver:
    """A homeserver that has its files scanned."""
    settings = Checks(scanner=address, **{"scanner_timeout": 10_000, **checks})
    return await make(media=Media(folder / "scanned", checks=settings))


async def test_what_is_found_is_put_away(
    make_homeserver: MakeHomeserver, tmp_path: Path, scanner: str
) -> None:
    homeserver = await with_scanner(make_homeserver, tmp_path, scanner)
    alice = await homeserver.user("alice")
    clean = await upload(alice, b"hello", "text/plain")
    assert (await fetch(alice, f"download/{clean}"))[0] == 200
    bad = await upload(alice, INFECTED, "text/plain")
    for path in (f"download/{bad}", f"thumbnail/{bad}?width=9&height=9"):
        status, _, body = await fetch(alice, path)
        assert (status, b"M_NOT_FOUND" in body) == (404, True)
    async with homeserver.tenant.database.read() as tx:
        why = await tx.fetchval("SELECT quarantined_by FROM quarantined_media")
    assert why.startswith("virus scanner: Hearth.Test")


async def test_or_it_is_refused(make_homeserver: MakeHomeserver, tmp_path: Path, scanner: str) -> None:
    homeserver = await with_scanner(make_homeserver, tmp_path, scanner, infected=Infected.BLOCK)
    alice = await homeserver.user("alice")
    status, said = await alice.post(UPLOAD, data=INFECTED)
    assert (status, said["errcode"]) == (403, "M_FORBIDDEN")


@pytest.mark.parametrize(("policy", "expected"), [(ScannerDown.REFUSE, 502), (ScannerDown.ALLOW, 200)])
async def test_what_is_too_large_to_be_scanned(
    make_homeserver: MakeHomeserver, tmp_path: Path, scanner: str, policy: ScannerDown, expected: int
) -> None:
    homeserver = await with_scanner(make_homeserver, tmp_path, scanner, scanner_down=policy)
    alice = await homeserver.user("alice")
    status, _ = await alice.post(UPLOAD, data=b"x" * 3_000_000, headers={"Content-Type": "text/plain"})
    assert status == expected


@pytest.mark.parametrize(("policy", "expected"), [(ScannerDown.REFUSE, 502), (ScannerDown.ALLOW, 200)])
@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "unix:/nowhere/clamd.sock"])
async def test_while_there_is_none(
    make_homeserver: MakeHomeserver, tmp_path: Path, policy: ScannerDown, expected: int, address: str
) -> None:
    homeserver = await with_scanner(make_homeserver, tmp_path, address, scanner_down=policy)
    alice = await homeserver.user("alice")
    assert (await alice.post(UPLOAD, data=b"x"))[0] == expected


async def test_one_that_hangs_up_is_one_that_is_down(make_homeserver: MakeHomeserver, tmp_path: Path) -> None:
    async with FakeClamd(is_silent=True) as clamd:
        homeserver = await with_scanner(make_homeserver, tmp_path, clamd.address)
        assert (await (await homeserver.user("alice")).post(UPLOAD, data=b"x"))[0] == 502


async def test_equal_bytes_are_scanned_once(make_homeserver: MakeHomeserver, tmp_path: Path) -> None:
    async with FakeClamd() as clamd:
        homeserver = await with_scanner(make_homeserver, tmp_path, clamd.address)
        alice = await homeserver.user("alice")
        for data in (b"same", b"same", b"other", b"same"):
            await upload(alice, data, "text/plain")
        assert sorted(clamd.scanned) == [b"other", b"same"]
