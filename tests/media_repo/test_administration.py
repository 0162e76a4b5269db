"""What administrators do with files: quarantine, deletion, lists; and quotas and lifetimes, which work without them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from services.media.life import keep_lifetimes
from services.settings import DAY, HOUR, Media
from tests.fixtures.client import Client
from tests.fixtures.homeserver import Homeserver, MakeHomeserver
from tests.fixtures.time import FakeClock
from tests.media_repo.pictures import fetch, picture, upload

ADMIN = "/_synapse/admin/v1"


@pytest.fixture
async def admin(homeserver: Homeserver) -> Client:
    """An administrator."""
    return await an_admin(homeserver)


async def an_admin(homeserver: Homeserver) -> Client:
    client = await homeserver.user("admin")
    async with homeserver.tenant.database.read() as tx:
        await tx.execute("UPDATE users SET is_admin = true WHERE user_id = $1", client.user_id)
    return await client.log_in()


def blobs(homeserver: Homeserver) -> int:
    """How many files are kept."""
    return sum(path.is_file() for path in homeserver.plan.settings.media.folder.rglob("*"))


async def status_of(client: Client, media: str) -> int:
    return (await fetch(client, f"download/{media}"))[0]


async def says_file(client: Client, room: str, media: str) -> str:
    content = {"msgtype": "m.image", "body": "a", "url": f"mxc://{media}"}
    path = f"rooms/{room}/send/m.room.message/{media[-8:]}"
    return str((await client.ok("PUT", path, json=content))["event_id"])


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "media/quarantine/one.example/abc"),
        ("POST", "media/unquarantine/one.example/abc"),
        ("POST", "room/!a:one.example/media/quarantine"),
        ("POST", "user/@a:one.example/media/quarantine"),
        ("POST", "media/protect/abc"),
        ("POST", "media/unprotect/abc"),
        ("DELETE", "media/one.example/abc"),
        ("GET", "media/one.example/abc"),
        ("POST", "media/delete?before_ts=1700000000000"),
        ("POST", "purge_media_cache?before_ts=1700000000000"),
        ("GET", "users/@a:one.example/media"),
        ("DELETE", "users/@a:one.example/media"),
        ("GET", "room/!a:one.example/media"),
        ("GET", "statistics/users/media"),
    ],
)
async def test_only_for_administrators(alice: Client, method: str, path: str) -> None:
    status, said = await alice.request(method, f"{ADMIN}/{path}")
    assert (status, said["errcode"]) == (403, "M_FORBIDDEN")


async def test_a_file_in_quarantine_is_given_to_nobody(
    homeserver: Homeserver, admin: Client, alice: Client
) -> None:
    media, other = await upload(alice, picture(100, 100)), await upload(alice, b"harmless")
    again = await upload(alice, picture(100, 100))
    path = f"thumbnail/{media}?width=32&height=32&method=crop"
    assert (await fetch(alice, path))[0] == 200
    await admin.ok("POST", f"{ADMIN}/media/quarantine/{media}", json={})
    for client in (alice, admin):
        assert (await fetch(client, path))[0] == 404
        assert await status_of(client, media) == 404
    assert await status_of(alice, again) == 404  # the same bytes
    assert await status_of(alice, await upload(alice, picture(100, 100))) == 404
    assert await status_of(alice, other) == 200
    assert (await admin.ok("GET", f"{ADMIN}/media/{media}"))["media_info"]["quarantined_by"] == admin.user_id
    await admin.ok("POST", f"{ADMIN}/media/unquarantine/{media}", json={})
    assert await status_of(alice, media) == await status_of(alice, again) == 200


async def test_files_of_a_user_but_for_protected_ones(admin: Client, alice: Client, bob: Client) -> None:
    media, kept, others = await upload(alice, b"1"), await upload(alice, b"2"), await upload(bob, b"3")
    await admin.ok("POST", f"{ADMIN}/media/protect/{kept.partition('/')[2]}", json={})
    said = await admin.ok("POST", f"{ADMIN}/user/{alice.user_id}/media/quarantine", json={})
    assert said == {"num_quarantined": 1}
    assert [await status_of(bob, one) for one in (media, kept, others)] == [404, 200, 200]
    assert (await admin.post(f"{ADMIN}/media/protect/unknown"))[0] == 404


async def test_files_that_a_room_names(admin: Client, alice: Client) -> None:
    media, thumbnail, elsewhere = [await upload(alice, data) for data in (b"1", b"2", b"3")]
    room, other = await alice.create_room(), await alice.create_room()
    content = {
        "msgtype": "m.video",
        "body": "a",
        "file": {"url": f"mxc://{media}"},
        "info": {"thumbnail_url": f"mxc://{thumbnail}"},
        "there": "mxc://two.example/theirs",
    }
    await alice.ok("PUT", f"rooms/{room}/send/m.room.message/1", json=content)
    await says_file(alice, other, elsewhere)
    listed = await admin.ok("GET", f"{ADMIN}/room/{room}/media")
    assert sorted(listed["local"]) == sorted([f"mxc://{media}", f"mxc://{thumbnail}"])
    assert listed["remote"] == ["mxc://two.example/theirs"]
    usage = (await admin.ok("GET", "/_hearth/admin/v1/statistics/rooms/media"))["rooms"]
    assert {one["room_id"]: one["media_count"] for one in usage} == {room: 2, other: 1}
    assert await admin.ok("POST", f"{ADMIN}/room/{room}/media/quarantine", json={}) == {"num_quarantined": 3}
    assert [await status_of(alice, one) for one in (media, thumbnail, elsewhere)] == [404, 404, 200]


async def test_deleting(homeserver: Homeserver, admin: Client, alice: Client) -> None:
    media, same, picture_of = (
        await upload(alice, b"1"),
        await upload(alice, b"1"),
        await upload(alice, picture(100, 100)),
    )
    await fetch(alice, f"thumbnail/{picture_of}?width=32&height=32&method=crop")
    assert blobs(homeserver) == 3
    said = await admin.ok("DELETE", f"{ADMIN}/media/{media}")
    assert said == {"deleted_media": [media.partition("/")[2]], "total": 1}
    assert [await status_of(alice, one) for one in (media, same)] == [404, 200]
    await admin.ok("DELETE", f"{ADMIN}/media/{picture_of}")
    assert blobs(homeserver) == 1
    assert (await admin.ok("DELETE", f"{ADMIN}/users/{alice.user_id}/media"))["total"] == 1
    assert blobs(homeserver) == 0
    assert (await admin.ok("DELETE", f"{ADMIN}/media/{media}"))["total"] == 0


async def test_lists_and_counters(admin: Client, alice: Client, bob: Client) -> None:
    medias = [await upload(alice, b"x" * size, "text/plain", f"?filename={size}") for size in (30, 10, 20)]
    await upload(bob, b"y")
    for _ in range(3):
        await fetch(bob, f"download/{medias[1]}")
    path = f"{ADMIN}/users/{alice.user_id}/media"
    said = await admin.ok("GET", f"{path}?order_by=media_length&limit=2")
    assert [one["upload_name"] for one in said["media"]] == ["10", "20"]
    assert (said["total"], said["next_token"]) == (3, 2)
    first = said["media"][0]
    assert (first["downloads"], first["media_type"], first["quarantined_by"]) == (3, "text/plain", None)
    assert first["last_access_ts"] >= first["created_ts"]
    rest = await admin.ok("GET", f"{path}?order_by=media_length&limit=2&from=2")
    assert [one["upload_name"] for one in rest["media"]] == ["30"]
    assert "next_token" not in rest
    assert (await admin.get(f"{path}?order_by=digest"))[0] == 400
    assert (await admin.get(f"{path}?dir=x"))[0] == 400
    users = (await admin.ok("GET", f"{ADMIN}/statistics/users/media"))["users"]
    assert [(one["user_id"], one["media_length"]) for one in users] == [(alice.user_id, 60), (bob.user_id, 1)]


async def limited(
    make_homeserver: MakeHomeserver, folder: Path, clock: Any = None, **limits: Any
) -> Homeserver:
    more = {"redacted_kept": limits.pop("redacted_kept")} if "redacted_kept" in limits else {}
    return await make_homeserver(media=Media(folder, **limits), clock=clock, **more)


async def test_a_user_may_keep_so_much(make_homeserver: MakeHomeserver, tmp_path: Path) -> None:
    one = await limited(make_homeserver, tmp_path / "m", user_quota=1000)
    alice, bob = await one.user("alice"), await one.user("bob")
    await upload(alice, b"x" * 600)

    async def chunks() -> Any:
        yield b"y" * 401

    for data in (b"y" * 401, chunks()):
        status, said = await alice.post("/_matrix/media/v3/upload", data=data)
        assert (status, said["errcode"]) == (403, "M_USER_LIMIT_EXCEEDED")
        assert said["info_uri"] == "https://one.example"
    await upload(alice, b"y" * 400)
    await upload(bob, b"z" * 600)


async def test_all_may_keep_so_much(make_homeserver: MakeHomeserver, tmp_path: Path) -> None:
    clock = FakeClock()
    one = await limited(make_homeserver, tmp_path / "m", clock, total_quota=1000)
    alice, bob = await one.user("alice"), await one.user("bob")
    await upload(alice, b"x" * 600)
    clock.advance(HOUR)
    status, said = await bob.post("/_matrix/media/v3/upload", data=b"x" * 401)
    assert (status, said["errcode"]) == (403, "M_RESOURCE_LIMIT_EXCEEDED")


async def test_files_that_nobody_asks_for_go(make_homeserver: MakeHomeserver, tmp_path: Path) -> None:
    clock = FakeClock()
    one = await limited(make_homeserver, tmp_path / "m", clock, local_lifetime=10 * DAY)
    alice, admin = await one.user("alice"), await an_admin(one)
    unused, used, kept, avatar = [await upload(alice, data) for data in (b"1", b"2", b"3", b"4")]
    await admin.ok("POST", f"{ADMIN}/media/protect/{kept.partition('/')[2]}", json={})
    await alice.ok("PUT", f"profile/{alice.user_id}/avatar_url", json={"avatar_url": f"mxc://{avatar}"})
    clock.advance(9 * DAY)
    await fetch(alice, f"download/{used}")
    await admin.ok("GET", f"{ADMIN}/media/{used}")  # what was counted is written
    clock.advance(2 * DAY)
    await keep_lifetimes(one.tenant)
    assert [await status_of(alice, media) for media in (unused, used, kept, avatar)] == [404, 200, 200, 200]
    assert blobs(one) == 3


async def test_a_file_goes_with_the_last_event_that_names_it(
    make_homeserver: MakeHomeserver, tmp_path: Path
) -> None:
    clock = FakeClock()
    one = await limited(make_homeserver, tmp_path / "m", clock, delete_with_events=True, redacted_kept=DAY)
    alice, admin = await one.user("alice"), await an_admin(one)
    room, other = await alice.create_room(), await alice.create_room()
    twice, once, never, sticker = [await upload(alice, data) for data in (b"1", b"2", b"3", b"4")]
    events = [await says_file(alice, room, media) for media in (twice, once, sticker)]
    await says_file(alice, other, twice)
    for number, event in enumerate(events):
        await alice.ok("PUT", f"rooms/{room}/redact/{event}/r{number}", json={})
    await admin.ok("GET", f"{ADMIN}/room/{room}/media")  # events have been read
    await admin.ok("POST", f"{ADMIN}/media/protect/{sticker.partition('/')[2]}", json={})
    await keep_lifetimes(one.tenant)
    assert await status_of(alice, once) == 200  # moderators may still read the event
    clock.advance(DAY + 1)
    await keep_lifetimes(one.tenant)
    assert [await status_of(alice, media) for media in (twice, once, never, sticker)] == [200, 404, 200, 200]
