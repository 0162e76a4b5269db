"""Files whose URI is made before they are uploaded (MSC2246): who may fill it, how often, how long; and who waits for it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from services.settings import HOUR, Media
from tests.fixtures.client import Client
from tests.fixtures.homeserver import Homeserver, MakeHomeserver
from tests.fixtures.time import FakeClock
from tests.media_repo.pictures import fetch

CREATE, UPLOAD = "/_matrix/media/v1/create", "/_matrix/media/v3/upload"


async def create(client: Client) -> str:
    """`<server>/<media ID>` of a file that is to come."""
    said = await client.ok("POST", CREATE, json={})
    assert said["unused_expires_at"] > 0
    return str(said["content_uri"]).removeprefix("mxc://")


async def fill(client: Client, media: str, data: bytes = b"hello") -> tuple[int, Any]:
    return await client.put(
        f"{UPLOAD}/{media}?filename=a.txt", data=data, headers={"Content-Type": "text/plain"}
    )


async def test_a_file_comes_after_its_uri(alice: Client, bob: Client) -> None:
    media = await create(alice)
    assert await fill(alice, media) == (200, {})
    status, headers, body = await fetch(bob, f"download/{media}")
    assert (status, body, headers["Content-Type"]) == (200, b"hello", "text/plain; charset=utf-8")
    assert headers["Content-Disposition"] == 'inline; filename="a.txt"'


async def test_only_once_and_only_by_who_made_it(alice: Client, bob: Client) -> None:
    media = await create(alice)
    status, said = await fill(bob, media)
    assert (status, said["errcode"]) == (403, "M_FORBIDDEN")
    await fill(alice, media)
    status, said = await fill(alice, media, b"other")
    assert (status, said["errcode"]) == (409, "M_CANNOT_OVERWRITE_MEDIA")
    assert (await fetch(bob, f"download/{media}"))[2] == b"hello"
    for other in ("one.example/unknown", "two.example/unknown", media.replace("one.", "two.")):
        status, said = await fill(alice, other)
        assert (status, said["errcode"]) == (404, "M_NOT_FOUND")


async def test_of_two_who_fill_it_at_once_one_does(homeserver: Homeserver, alice: Client) -> None:
    media = await create(alice)
    answers = await asyncio.gather(*(fill(alice, media, bytes([n]) * 1000) for n in range(8)))
    assert sorted(status for status, _ in answers) == [200] + [409] * 7
    won = next(n for n, (status, _) in enumerate(answers) if status == 200)
    assert (await fetch(alice, f"download/{media}"))[2] == bytes([won]) * 1000


async def test_who_asks_before_waits(alice: Client, bob: Client) -> None:
    media = await create(alice)
    status, said = await bob.get(f"/_matrix/client/v1/media/download/{media}?timeout_ms=0")
    assert (status, said["errcode"]) == (504, "M_NOT_YET_UPLOADED")
    waiting = [asyncio.create_task(fetch(bob, f"{kind}/{media}")) for kind in ("download", "download")]
    await bob.get(f"/_matrix/client/v1/media/download/{media}?timeout_ms=50")  # the others wait by now
    assert not any(one.done() for one in waiting)
    await fill(alice, media)
    async with asyncio.timeout(5):
        for status, _, body in await asyncio.gather(*waiting):
            assert (status, body) == (200, b"hello")


async def test_what_does_not_come_is_given_up(make_homeserver: MakeHomeserver, tmp_path: Path) -> None:
    clock = FakeClock()
    settings = Media(tmp_path / "m", pending_lifetime=HOUR, max_pending=1)
    alice = await (await make_homeserver(media=settings, clock=clock)).user("alice")
    media = await create(alice)
    clock.advance(HOUR)
    status, said = await fill(alice, media)
    assert (status, said["errcode"]) == (404, "M_NOT_FOUND")
    assert (await fetch(alice, f"download/{media}?timeout_ms=5000"))[0] == 404
    await create(alice)  # the other one does not count any more


async def test_who_waits_at_another_process_is_told(make_homeserver: MakeHomeserver, redis_url: str) -> None:
    first = await make_homeserver(redis_url=redis_url)
    second = await make_homeserver(redis_url=redis_url, beside=first)
    alice = await first.user("alice")
    there = Client(second.session, second.url, access_token=alice.access_token)
    media = await create(alice)
    waiting = asyncio.create_task(fetch(there, f"download/{media}?timeout_ms=20000"))
    await there.get(f"/_matrix/client/v1/media/download/{media}?timeout_ms=50")
    await fill(alice, media)
    async with asyncio.timeout(5):
        assert (await waiting)[2] == b"hello"


async def test_not_too_many_may_be_announced(make_homeserver: MakeHomeserver, tmp_path: Path) -> None:
    one = await make_homeserver(media=Media(tmp_path / "m", pending_lifetime=HOUR, max_pending=2))
    alice, bob = await one.user("alice"), await one.user("bob")
    media = await create(alice)
    await create(alice)
    status, said = await alice.post(CREATE, {})
    assert (status, said["errcode"]) == (429, "M_LIMIT_EXCEEDED")
    assert 0 < said["retry_after_ms"] <= HOUR
    await create(bob)
    await fill(alice, media)
    await create(alice)


async def test_a_file_that_is_too_large_leaves_its_uri_free(
    make_homeserver: MakeHomeserver, tmp_path: Path
) -> None:
    one = await make_homeserver(media=Media(tmp_path / "m", max_upload=1000))
    alice = await one.user("alice")
    media = await create(alice)
    assert (await fill(alice, media, b"x" * 1001))[0] == 413
    assert (await fill(alice, media, b"x" * 1000))[0] == 200
