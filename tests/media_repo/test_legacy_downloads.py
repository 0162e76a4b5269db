"""Downloading without a token, as it was before v1.11: frozen by default."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.settings import DAY, LegacyDownloads, Media
from tests.fixtures.homeserver import Homeserver, MakeHomeserver
from tests.fixtures.time import START, FakeClock
from tests.media_repo.pictures import picture, upload

KINDS = ("download/{}", "download/{}/a.png", "thumbnail/{}?width=32&height=32&method=crop")


async def answers(one: Homeserver, media: str, version: str = "v3") -> set[tuple[int, str | None]]:
    """Status and error code of all three endpoints."""
    nobody = one.nobody()
    found = set()
    for kind in KINDS:
        status, said = await nobody.get(f"/_matrix/media/{version}/{kind.format(media)}")
        found.add((status, said["errcode"] if isinstance(said, dict) else None))
    return found


async def test_by_default_nothing_is_given_away(homeserver: Homeserver) -> None:
    alice = await homeserver.user("alice")
    media = await upload(alice, picture(100, 100))
    pending = (await alice.ok("POST", "/_matrix/media/v1/create", json={}))["content_uri"].removeprefix(
        "mxc://"
    )
    for version in ("v3", "r0", "v1"):
        for one in (media, pending, "one.example/unknown", "two.example/unknown"):
            expected = (504, "M_NOT_YET_UPLOADED") if one == pending else (404, "M_NOT_FOUND")
            assert await answers(homeserver, one, version) == {expected}


@pytest.mark.parametrize("version", ["v3", "r0", "v1"])
async def test_open_to_everybody(make_homeserver: MakeHomeserver, tmp_path: Path, version: str) -> None:
    one = await make_homeserver(media=Media(tmp_path / "m", legacy_downloads=LegacyDownloads.OPEN))
    alice = await one.user("alice")
    media = await upload(alice, picture(100, 100))
    assert await answers(one, media, version) == {(200, None)}
    async with alice.session.get(f"{alice.url}/_matrix/media/{version}/download/{media}") as response:
        assert response.headers["Content-Security-Policy"].startswith("sandbox;")
        assert response.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    for query in ("allow_remote=false", "allow_redirect=true", "timeout_ms=1"):
        assert (await one.nobody().get(f"/_matrix/media/{version}/download/{media}?{query}"))[0] == 200
    assert (await one.nobody().get(f"/_matrix/media/{version}/download/{media}?allow_remote=perhaps"))[
        0
    ] == 400


async def test_files_from_before_the_freeze(make_homeserver: MakeHomeserver, tmp_path: Path) -> None:
    clock = FakeClock()
    one = await make_homeserver(media=Media(tmp_path / "m", frozen_from=START + DAY), clock=clock)
    alice = await one.user("alice")
    old = await upload(alice, picture(100, 100))
    clock.advance(DAY)
    new = await upload(alice, picture(100, 100))
    assert await answers(one, old) == {(200, None)}
    assert await answers(one, new) == {(404, "M_NOT_FOUND")}


async def test_off(make_homeserver: MakeHomeserver, tmp_path: Path) -> None:
    settings = Media(tmp_path / "m", legacy_downloads=LegacyDownloads.OFF, frozen_from=2**52)
    one = await make_homeserver(media=settings)
    media = await upload(await one.user("alice"), picture(100, 100))
    assert await answers(one, media) == {(404, "M_NOT_FOUND")}
