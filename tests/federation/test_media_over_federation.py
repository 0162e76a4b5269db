"""Files across servers: handed out to servers, fetched for clients, and kept for a while."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from email import message_from_bytes
from typing import Any

import pytest
from aiohttp import web

from federation.client.request import Question, authorization
from services.settings import Media
from tests.federation.asking import Scene, part, scene
from tests.fixtures.client import Client
from tests.fixtures.federation import MakeFederated
from tests.fixtures.homeserver import Homeserver
from tests.fixtures.lying_server import LyingServer
from tests.media_repo.pictures import fetch, picture, upload

__all__ = ["scene"]

DOWNLOAD = "/_matrix/federation/v1/media/download/"


async def downloaded(asker: LyingServer, of: Homeserver, path: str) -> tuple[int, list[tuple[Any, bytes]]]:
    """Status, and headers and body of each part, of what the server asked for."""
    header = authorization(asker.key, asker.name, of.name, Question("GET", path))
    async with asker.session.get(of.url + path, headers={"Authorization": header}) as response:
        raw = await response.read()
        kind = response.headers["Content-Type"]
        if response.status == 200:
            assert response.content_length == len(raw)
        message = message_from_bytes(f"Content-Type: {kind}\r\n\r\n".encode() + raw)
        parts: Any = message.get_payload() if message.is_multipart() else []
        return response.status, [(part, part.get_payload(decode=True)) for part in parts]


async def test_a_server_gets_a_file_in_two_parts(scene: Scene) -> None:
    data = b"\0\0\0\x18ftypmp42" + bytes(range(256)) * 5000
    mxc = await upload(scene.alice, data, "video/mp4", "?filename=holidays.mp4")
    media_id = mxc.rpartition("/")[2]
    status, parts = await downloaded(scene.liar, scene.one, DOWNLOAD + media_id)
    assert status == 200
    (description, described), (file, _) = parts
    assert (description.get_content_type(), described.strip()) == ("application/json", b"{}")
    assert file.get_content_type() == "video/mp4"
    assert file["Content-Disposition"] == 'inline; filename="holidays.mp4"'
    status, said = await scene.liar.request(scene.one, "GET", f"{DOWNLOAD}unknown")
    assert (status, said["errcode"]) == (404, "M_NOT_FOUND")
    status, said = await scene.liar.request(scene.one, "GET", DOWNLOAD + media_id, header="")
    assert (status, said["errcode"]) == (401, "M_UNAUTHORIZED")


async def test_a_server_gets_a_thumbnail(scene: Scene) -> None:
    mxc = await upload(scene.alice, picture(900, 700))
    start = "/_matrix/federation/v1/media/thumbnail/" + mxc.rpartition("/")[2]
    status, parts = await downloaded(scene.liar, scene.one, f"{start}?width=32&height=32&method=crop")
    assert (status, parts[1][0].get_content_type()) == (200, "image/png")
    assert (await downloaded(scene.liar, scene.one, f"{start}?width=0&height=32"))[0] == 400


@pytest.mark.parametrize("name", [None, "a b.png", 'q"uote.png', "grüße.png"])
async def test_a_client_gets_a_file_of_another_server(
    make_federated: MakeFederated, name: str | None
) -> None:
    one, two = await make_federated(), await make_federated()
    alice, bob = await one.user("alice"), await two.user("bob")
    data = picture(900, 700)
    query = f"?filename={part(name)}" if name is not None else ""
    mxc = await upload(alice, data, "image/png", query)
    there = await fetch(alice, f"download/{mxc}")
    here = await fetch(bob, f"download/{mxc}")
    assert here[0] == 200
    assert here[2] == data == there[2]
    for header in ("Content-Type", "Content-Disposition", "Content-Security-Policy", "Content-Length"):
        assert here[1][header] == there[1][header]
    status, headers, small = await fetch(bob, f"thumbnail/{mxc}?width=96&height=96&method=crop")
    assert (status, headers["Content-Type"]) == (200, "image/png")
    assert len(small) < len(data)
    assert sum(DOWNLOAD in served.path for served in one.served) == 1  # it was kept


def scripted(scene: Scene, data: bytes, *headers: str, boundary: str = "b") -> None:
    """The other server answers with this file."""
    body = (
        f"--{boundary}\r\nContent-Type: application/json\r\n\r\n{{}}\r\n--{boundary}\r\n"
        + "".join(f"{header}\r\n" for header in headers)
        + "\r\n"
    ).encode()
    body += data + f"\r\n--{boundary}--\r\n".encode()

    def answer(_: Any) -> web.Response:
        return web.Response(body=body, headers={"Content-Type": f"multipart/mixed; boundary={boundary}"})

    scene.liar.on("GET", DOWNLOAD, answer)


async def test_many_who_ask_at_once_ask_once(scene: Scene) -> None:
    scripted(scene, b"hello", "Content-Type: text/plain")
    slow = scene.liar.scripts[0][2]
    released = asyncio.Event()

    async def later(asked: Any) -> Any:
        await released.wait()
        return slow(asked)

    scene.liar.on("GET", DOWNLOAD, later)
    waiting = [asyncio.create_task(fetch(scene.alice, f"download/{scene.liar.name}/abc")) for _ in range(10)]
    while not scene.liar.times_asked(DOWNLOAD):
        await asyncio.sleep(0.01)
    impatient = await scene.alice.get(f"/_matrix/client/v1/media/download/{scene.liar.name}/abc?timeout_ms=1")
    assert (impatient[0], impatient[1]["errcode"]) == (504, "M_NOT_YET_UPLOADED")
    released.set()
    for status, headers, data in await asyncio.gather(*waiting):
        assert (status, data, headers["Content-Type"]) == (200, b"hello", "text/plain; charset=utf-8")
    assert scene.liar.times_asked(DOWNLOAD) == 1


@pytest.mark.parametrize(
    ("headers", "kind", "disposition"),
    [
        ((), "application/octet-stream", "attachment"),
        (("Content-Type: text/html",), "text/html; charset=utf-8", "attachment"),
        (("Content-Type: nonsense",), "application/octet-stream", "attachment"),
        (("Content-Type: image/svg+xml", "Content-Disposition: inline"), "image/svg+xml", "attachment"),
        (
            ("Content-Type: image/png", 'Content-Disposition: inline; filename="../../etc/passwd"'),
            "image/png",
            'inline; filename=".._.._etc_passwd"',
        ),
    ],
)
async def test_what_another_server_says_of_a_file_is_looked_through(
    scene: Scene, headers: tuple[str, ...], kind: str, disposition: str
) -> None:
    body = {"image/svg+xml": b"<svg xmlns='http://www.w3.org/2000/svg'/>", "image/png": picture(9, 9)}.get(
        kind, b"data"
    )
    scripted(scene, body, *headers)
    status, answered, data = await fetch(scene.alice, f"download/{scene.liar.name}/abc")
    assert (status, data) == (200, body)
    assert (answered["Content-Type"], answered["Content-Disposition"]) == (kind, disposition)
    assert answered["Content-Security-Policy"].startswith("sandbox")


async def with_limits(make_federated: MakeFederated, scene: Scene, **limits: int) -> Scene:
    """A homeserver with other limits, beside the same liar."""
    folder = scene.one.plan.settings.media.folder.parent / "limited"
    one = await make_federated(media=Media(folder, **limits))
    return Scene(one, await one.user("alice"), scene.liar)


async def test_too_large_a_file_is_not_taken(make_federated: MakeFederated, scene: Scene) -> None:
    limited = await with_limits(make_federated, scene, max_upload=1000)
    scripted(scene, b"x" * 1001)
    status, said = await limited.alice.get(f"/_matrix/client/v1/media/download/{scene.liar.name}/abc")
    assert (status, said["errcode"]) == (502, "M_TOO_LARGE")
    scripted(scene, b"x" * 1000)
    assert (await fetch(limited.alice, f"download/{scene.liar.name}/abc"))[0] == 200


async def test_what_was_used_longest_ago_goes_first(make_federated: MakeFederated, scene: Scene) -> None:
    limited = await with_limits(make_federated, scene, remote_cache=2500)
    folder = limited.one.plan.settings.media.folder

    def kept() -> int:
        return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())

    async def get(media_id: str, data: bytes) -> None:
        scripted(scene, data)
        assert (await fetch(limited.alice, f"download/{scene.liar.name}/{media_id}"))[2] == data

    mine = await upload(limited.alice, b"1" * 1000)
    for number in range(1, 6):
        await get(f"file{number}", str(number).encode() * 1000)
        await asyncio.sleep(0.002)  # the next one is younger
    # Two files of the other server are kept, and what is ours: the first of theirs has the same bytes.
    assert kept() == 3000
    assert (await fetch(limited.alice, f"download/{mine}"))[2] == b"1" * 1000
    asked = scene.liar.times_asked(DOWNLOAD)
    await get("file5", b"5" * 1000)
    assert scene.liar.times_asked(DOWNLOAD) == asked
    await get("file1", b"1" * 1000)
    assert scene.liar.times_asked(DOWNLOAD) == asked + 1
    await limited.alice.get(f"/_matrix/client/v1/media/download/{scene.liar.name}/file1")
    scripted(scene, b"6" * 3000)
    status, _ = await limited.alice.get(f"/_matrix/client/v1/media/download/{scene.liar.name}/huge")
    assert status == 502
    assert kept() == 1000


async def status_of(client: Client, scene: Scene) -> tuple[int, str]:
    status, said = await client.get(f"/_matrix/client/v1/media/download/{scene.liar.name}/abc")
    return status, said["errcode"]


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ((404, {"errcode": "M_NOT_FOUND", "error": "no"}), (404, "M_NOT_FOUND")),
        ((504, {"errcode": "M_NOT_YET_UPLOADED", "error": "no"}), (504, "M_NOT_YET_UPLOADED")),
        ((502, {"errcode": "M_TOO_LARGE", "error": "no"}), (502, "M_TOO_LARGE")),
        ((403, {"errcode": "M_FORBIDDEN", "error": "no"}), (502, "M_UNKNOWN")),
        ((500, b"nonsense"), (502, "M_UNKNOWN")),
        ((200, {}), (502, "M_UNKNOWN")),
    ],
)
async def test_a_file_that_cannot_be_had(scene: Scene, said: Any, expected: tuple[int, str]) -> None:
    scene.liar.on("GET", DOWNLOAD, lambda _: said)
    assert await status_of(scene.alice, scene) == expected
    scripted(scene, b"data")  # failures are not remembered
    assert (await fetch(scene.alice, f"download/{scene.liar.name}/abc"))[0] == 200


@pytest.mark.parametrize(
    "where",
    ["https://10.0.0.1/file", "http://[::1]/x", "http://169.254.169.254/latest", "file:///etc/passwd", ""],
)
async def test_nobody_is_sent_to_private_addresses(scene: Scene, where: str) -> None:
    scripted(scene, b"", f"Location: {where}")
    assert (await status_of(scene.alice, scene))[0] == 502


async def test_a_torn_file_is_not_kept(scene: Scene) -> None:
    async def torn(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "multipart/mixed; boundary=b"})
        response.content_length = 1000
        await response.prepare(request)
        await response.write(b"--b\r\nContent-Type: application/json\r\n\r\n{}\r\n--b\r\n\r\nhalf of")
        assert request.transport is not None
        request.transport.close()
        return response

    await scene.get(f"query/profile?user_id={part(scene.alice.user_id)}")  # the key is known
    scene.liar.raw = torn
    assert (await status_of(scene.alice, scene))[0] == 502
    async with scene.one.tenant.database.read() as tx:
        assert await tx.fetchval("SELECT count(*) FROM remote_media") == 0


async def test_media_ids_are_checked_before_anybody_is_asked(scene: Scene) -> None:
    path = f"/_matrix/client/v1/media/download/{scene.liar.name}/..%2Fx"
    assert (await scene.alice.get(path))[0] == 400
    assert not scene.liar.asked


async def test_a_file_of_a_server_that_is_away(scene: Scene) -> None:
    scene.liar = replace(scene.liar, name="localhost:1")
    assert await status_of(scene.alice, scene) == (502, "M_UNKNOWN")


async def test_files_of_a_blocked_server_are_given_to_nobody(
    make_federated: MakeFederated, scene: Scene
) -> None:
    folder = scene.one.plan.settings.media.folder.parent / "blocking"
    blocking = await make_federated(media=Media(folder, blocked_servers=(f"{scene.liar.name[:4]}*",)))
    scripted(scene, b"data")
    alice = await blocking.user("alice")
    status, said = await alice.get(f"/_matrix/client/v1/media/download/{scene.liar.name}/abc")
    assert (status, said["errcode"]) == (404, "M_NOT_FOUND")
    assert scene.liar.times_asked(DOWNLOAD) == 0


async def test_a_file_in_quarantine_is_not_even_fetched(scene: Scene) -> None:
    async with scene.one.tenant.database.read() as tx:
        await tx.execute("UPDATE users SET is_admin = true WHERE user_id = $1", scene.alice.user_id)
    admin = await scene.alice.log_in()
    file = f"{scene.liar.name}/abc"
    await admin.ok("POST", f"/_synapse/admin/v1/media/quarantine/{file}", json={})
    scripted(scene, b"data")
    assert await status_of(admin, scene) == (404, "M_NOT_FOUND")
    assert scene.liar.times_asked(DOWNLOAD) == 0
    await admin.ok("POST", f"/_synapse/admin/v1/media/unquarantine/{file}", json={})
    assert (await fetch(admin, f"download/{file}"))[2] == b"data"
    # What is kept can be put there too, and is purged without being let out.
    await admin.ok("POST", f"/_synapse/admin/v1/media/quarantine/{file}", json={})
    assert await status_of(admin, scene) == (404, "M_NOT_FOUND")
    soon = scene.one.tenant.clock.now() + 1000
    purged = await admin.ok("POST", f"/_synapse/admin/v1/purge_media_cache?before_ts={soon}", json={})
    assert purged == {"deleted": 1}
    assert await status_of(admin, scene) == (404, "M_NOT_FOUND")
