"""Previews are kept for a time, and their pictures under the cap of what is cached."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from services.media.check import check_blobs
from services.media.life import keep_lifetimes, write_downloads
from services.previews.keeping import forget_old
from services.settings import DAY, HOUR, MINUTE
from tests.fixtures.client import Client
from tests.fixtures.homeserver import Homeserver
from tests.fixtures.time import FakeClock
from tests.media_repo.pictures import fetch, picture, upload
from tests.media_repo.test_administration import an_admin
from tests.media_repo.web import Web, seen


async def test_previews_grow_old_and_are_kept_for_their_time(make: Any, site: Web) -> None:
    clock = FakeClock()
    homeserver = await make(clock=clock)
    alice, begin = await homeserver.user("alice"), clock.now()
    site.has("page.example/x", "<title>Old</title>")
    assert (await seen(alice, "http://page.example/x"))["og:title"] == "Old"
    site.has("page.example/x", "<title>New</title>")
    assert (await seen(alice, "http://page.example/x"))["og:title"] == "Old"
    clock.advance(2 * HOUR)
    assert (await seen(alice, "http://page.example/x"))["og:title"] == "New"
    assert (await seen(alice, "http://page.example/x", ts=begin))["og:title"] == "Old"
    clock.advance(31 * DAY)
    await forget_old(homeserver.tenant)
    site.has("page.example/x", "<title>Newest</title>")
    assert (await seen(alice, "http://page.example/x", ts=begin))["og:title"] == "Newest"


async def test_pictures_go_with_their_previews(make: Any, site: Web) -> None:
    clock = FakeClock()
    homeserver = await make(clock=clock)
    alice = await homeserver.user("alice")
    site.has("page.example/p", picture(90, 80), "image/png")
    media = (await seen(alice, "http://page.example/p"))["og:image"].removeprefix("mxc://")
    assert (await fetch(alice, f"download/{media}"))[0] == 200
    clock.advance(31 * DAY)
    await forget_old(homeserver.tenant)
    alice = await alice.log_in()
    assert (await fetch(alice, f"download/{media}"))[0] == 404


def blobs(homeserver: Homeserver) -> list[Path]:
    """The files that are kept."""
    folder = homeserver.plan.settings.media.folder
    return [path for path in folder.rglob("*") if path.is_file()]


async def picture_of(client: Client, url: str) -> str:
    """`<server>/<media ID>` of the preview's picture."""
    return str((await seen(client, url))["og:image"].removeprefix("mxc://"))


async def test_the_oldest_pictures_go_when_the_cache_is_full(make: Any, site: Web) -> None:
    clock, data = FakeClock(), [picture(90, side) for side in (80, 81, 82)]
    homeserver = await make(clock=clock, media={"remote_cache": len(data[1]) + len(data[2])})
    alice = await homeserver.user("alice")
    own = await upload(alice, picture(90, 300))
    pictures = []
    for number, one in enumerate(data):
        site.has(f"page.example/{number}", one, "image/png")
        pictures.append(await picture_of(alice, f"http://page.example/{number}"))
        clock.advance(MINUTE)
    assert [(await fetch(alice, f"download/{name}"))[0] for name in (own, *pictures)] == [200, 404, 200, 200]
    # The page is asked again for the picture that is gone: then the next goes, as the oldest, with its thumbnail.
    assert (await fetch(alice, f"thumbnail/{pictures[1]}?width=32&height=32&method=crop"))[0] == 200
    again = await picture_of(alice, "http://page.example/0")
    assert site.asked.count("page.example/0") == 2
    assert (await fetch(alice, f"download/{again}"))[2] == data[0]
    assert (await fetch(alice, f"download/{pictures[1]}"))[0] == 404
    assert len(blobs(homeserver)) == 3


async def test_pictures_are_cached_for_as_long_as_other_servers_files(make: Any, site: Web) -> None:
    clock = FakeClock()
    lifetimes = {"local_lifetime": DAY, "remote_lifetime": 10 * DAY}
    homeserver = await make(clock=clock, media=lifetimes)
    alice = await homeserver.user("alice")
    site.has("page.example/p", picture(90, 80), "image/png")
    own, media = await upload(alice, picture(9, 300)), await picture_of(alice, "http://page.example/p")
    clock.advance(2 * DAY)
    await keep_lifetimes(homeserver.tenant)
    assert [(await fetch(alice, f"download/{name}"))[0] for name in (own, media)] == [404, 200]
    await write_downloads(homeserver.tenant)
    clock.advance(9 * DAY)
    await keep_lifetimes(homeserver.tenant)
    assert len(blobs(homeserver)) == 1
    clock.advance(2 * DAY)
    alice = await alice.log_in()
    await keep_lifetimes(homeserver.tenant)
    assert (await fetch(alice, f"download/{media}"))[0] == 404
    assert blobs(homeserver) == []


async def test_pictures_are_nobodys(make: Any, site: Web) -> None:
    homeserver = await make(media={"total_quota": 5_000})
    admin = await an_admin(homeserver)
    site.has("page.example/p", picture(1200, 900, compress_level=0), "image/png")
    media = await picture_of(admin, "http://page.example/p")
    await upload(admin, picture(90, 80))
    said = await admin.ok("GET", "/_synapse/admin/v1/statistics/users/media")
    assert [one["user_id"] for one in said["users"]] == [admin.user_id]
    said = await admin.ok("POST", "/_synapse/admin/v1/purge_media_cache?before_ts=4000000000000", json={})
    assert said == {"deleted": 1}
    assert (await fetch(admin, f"download/{media}"))[0] == 404


async def test_pictures_whose_bytes_are_gone_are_forgotten(make: Any, site: Web) -> None:
    homeserver = await make()
    alice = await homeserver.user("alice")
    site.has("page.example/p", picture(90, 80), "image/png")
    first = await picture_of(alice, "http://page.example/p")
    (file,) = blobs(homeserver)
    file.unlink()
    found = await check_blobs(homeserver.tenant)
    assert (found.forgotten, found.lost) == (1, 0)
    assert await picture_of(alice, "http://page.example/p") != first


async def test_a_picture_that_is_larger_than_the_cache_is_left_out(make: Any, site: Web) -> None:
    homeserver = await make(media={"remote_cache": 10})
    alice = await homeserver.user("alice")
    site.has("page.example/p", picture(90, 80), "image/png")
    assert await seen(alice, "http://page.example/p") == {}
    assert blobs(homeserver) == []
