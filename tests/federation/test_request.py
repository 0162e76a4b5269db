"""Requests to other servers: signed, bounded, over connections that are kept; failures with their reasons."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
from aiohttp import web

from federation.client import connections
from federation.client.media import RemoteMedia
from federation.client.request import Question, body_of, path_of
from protocol.ids import RoomID, ServerName, UserID
from protocol.signing import verify_json
from services.ports import RemoteFailed
from tests.federation.reach import KEY, OURS, VERSION, Reach, reaching
from tests.fixtures.certificates import Authority
from tests.fixtures.federation import MakeFederated, MakeLying, federation_settings
from tests.fixtures.lying_server import Asked, LyingServer


@pytest.fixture
async def reach(authority: Authority) -> AsyncIterator[Reach]:
    """Our client."""
    async with reaching(federation_settings(authority)) as reach:
        yield reach


@pytest.fixture
async def server(make_lying: MakeLying, reach: Reach) -> LyingServer:
    """Whom it asks."""
    server = await make_lying()
    reach.names.leads("localhost", server.port, server.port)
    return server


def check_signature(asked: Asked, destination: str) -> None:
    """As the other server would."""
    header = asked.headers["Authorization"].removeprefix("X-Matrix ")
    said = dict(part.split("=", 1) for part in header.replace('"', "").split(","))
    uri = f"{asked.path}?{asked.query}" if asked.query else asked.path
    signed: dict[str, Any] = {"method": asked.method, "uri": uri, "origin": OURS, "destination": destination}
    if asked.body:
        signed["content"] = asked.json
    assert (said["origin"], said["destination"]) == (OURS, destination)
    verify_json(signed | {"signatures": {OURS: {said["key"]: said["sig"]}}}, OURS, {KEY.name: KEY.verify_key})


async def test_idle_connections_are_kept_to_some_hosts_only(
    reach: Reach, make_lying: MakeLying, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "MAX_KEPT", 2)
    server = await make_lying(names=["*.many.example"])
    server.on("GET", "/", lambda _: {})
    for name in ("a", "b", "c", "a", "c"):
        host = f"{name}.many.example"
        reach.names.leads(host, server.port, server.port)
        await reach.requests.ask(ServerName(f"{host}:{server.port}"), Question("GET", f"/{name}"))

    kept = [(asked.path, asked.headers.get("Connection") != "close") for asked in server.asked]

    assert kept == [("/a", True), ("/b", True), ("/c", False), ("/a", True), ("/c", False)]


async def test_path_and_body_are_signed_as_they_go_out(reach: Reach, server: LyingServer) -> None:
    server.on("GET", "/", lambda _: {})
    server.on("PUT", "/", lambda _: {})
    path = path_of("/_matrix/x", "!a/b?c:ö%", query=[("event_id", "$+/ é"), ("v", "1"), ("v", "2")])
    await reach.requests.ask(ServerName(server.name), Question("GET", path))
    body = body_of({"b": 1, "a": [1.5, 2**70, "ü\u2028"]})
    await reach.requests.ask(ServerName(server.name), Question("PUT", path, body))
    for asked in server.asked:
        assert f"{asked.path}?{asked.query}" == path
        check_signature(asked, server.name)
    assert [bool(asked.body) for asked in server.asked] == [False, True]


async def test_connections_are_kept(reach: Reach, server: LyingServer) -> None:
    server.on("GET", VERSION, lambda _: {})
    for _ in range(5):
        await reach.ask(server.name)
    assert len(server.greeted) == 1


async def test_a_refusal_comes_with_its_reasons(reach: Reach, server: LyingServer) -> None:
    body = {"errcode": "M_INCOMPATIBLE_ROOM_VERSION", "error": "no", "room_version": "99"}
    server.on("GET", VERSION, lambda _: (400, body))
    with pytest.raises(RemoteFailed) as failed:
        await reach.ask(server.name)
    assert (failed.value.status, failed.value.errcode, failed.value.message) == (400, body["errcode"], "no")
    assert failed.value.body["room_version"] == "99"
    assert (failed.value.told.status, failed.value.told.errcode) == (400, body["errcode"])


@pytest.mark.parametrize(
    ("said", "status", "told"),
    [
        ((500, b"<html>"), 500, 502),
        ((401, {"errcode": "M_UNKNOWN_TOKEN", "error": "x"}), 401, 502),  # logs nobody out of here
        ((404, {"errcode": "M_NOT_FOUND", "error": "x"}), 404, 404),
        ((404, {"errcode": 5, "error": []}), 404, 502),
        ((302, {}), 302, 502),
        ((200, b"{"), 200, 502),
        ((200, b'{"a":' + b"[" * 100_000), 200, 502),
    ],
)
async def test_other_failures_are_no_errors_of_ours(
    reach: Reach, server: LyingServer, said: Any, status: int, told: int
) -> None:
    server.on("GET", VERSION, lambda _: said)
    with pytest.raises(RemoteFailed) as failed:
        await reach.ask(server.name)
    assert (failed.value.status, failed.value.told.status) == (status, told)


async def test_nobody_there_is_a_failure_without_status(reach: Reach, server: LyingServer) -> None:
    reach.names.leads("localhost", 9, 9)
    for name in ("localhost:9", "nowhere.example", "nowhere.example:1"):
        with pytest.raises(RemoteFailed) as failed:
            await reach.ask(name)
        assert (failed.value.status, failed.value.told.status) == (None, 502)


async def test_who_does_not_answer_is_not_waited_for(reach: Reach, server: LyingServer) -> None:
    never = asyncio.Event()

    async def silent(_: Asked) -> Any:
        await never.wait()

    server.on("GET", VERSION, silent)
    with pytest.raises(RemoteFailed, match="in time"):
        await reach.ask(server.name, seconds=0.05)
    never.set()


@pytest.mark.parametrize("said_before", [True, False])
async def test_an_answer_without_end_is_not_read_to_its_end(
    reach: Reach, server: LyingServer, said_before: bool
) -> None:
    async def endless(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        if said_before:
            response.content_length = 10_000_000
        await response.prepare(request)
        for _ in range(10_000):
            await response.write(b" " * 1000)
        return response

    server.raw = endless
    with pytest.raises(RemoteFailed, match="more than 100000 bytes"):
        await reach.ask(server.name, limit=100_000)


async def test_what_grows_when_it_is_unpacked_is_bounded_too(reach: Reach, server: LyingServer) -> None:
    bomb = gzip.compress(b'"' + b"x" * 20_000_000 + b'"')
    assert len(bomb) < 100_000
    packed = web.Response(body=bomb, headers={"Content-Encoding": "gzip"})
    server.on("GET", VERSION, lambda _: packed)
    with pytest.raises(RemoteFailed, match="more than 100000 bytes"):
        await reach.ask(server.name, limit=100_000)


async def test_a_server_without_a_trusted_certificate_is_not_talked_to(
    make_lying: MakeLying, tmp_path_factory: pytest.TempPathFactory, authority: Authority
) -> None:
    server = await make_lying()
    server.on("GET", VERSION, lambda _: {})
    other = Authority(tmp_path_factory.mktemp("other"))
    async with reaching(federation_settings(authority, ca_file=other.file)) as reach:
        reach.names.leads("localhost", server.port, server.port)
        with pytest.raises(RemoteFailed, match="certificate"):
            await reach.ask(server.name)
    assert server.asked == []
    async with reaching(federation_settings(other, verify_certificates=False)) as reach:
        reach.names.leads("localhost", server.port, server.port)
        assert await reach.ask(server.name) == {}


def multipart(*parts: bytes) -> web.Response:
    """An answer of these parts."""
    body = b"".join(b"--xyz\r\n" + part + b"\r\n" for part in parts) + b"--xyz--\r\n"
    return web.Response(body=body, headers={"Content-Type": "multipart/mixed; boundary=xyz"})


JSON_PART = b"Content-Type: application/json\r\n\r\n{}"
FILE_PART = b'Content-Type: image/png\r\nContent-Disposition: inline; filename="a b.png"\r\n\r\n'


async def test_a_file_comes_as_the_second_part(reach: Reach, server: LyingServer) -> None:
    data = bytes(range(256)) * 1000
    server.on(
        "GET", "/_matrix/federation/v1/media/download/abc", lambda _: multipart(JSON_PART, FILE_PART + data)
    )
    media = RemoteMedia(reach.requests, reach.connections)
    async with media.download(ServerName(server.name), "abc", 1_000_000) as file:
        assert (file.content_type, file.file_name) == ("image/png", "a b.png")
        assert b"".join([chunk async for chunk in file.chunks]) == data
    check_signature(server.asked[-1], server.name)
    with pytest.raises(RemoteFailed, match="more than 1000 bytes"):
        async with media.download(ServerName(server.name), "abc", 1000) as file:
            [chunk async for chunk in file.chunks]


async def test_a_file_may_lie_elsewhere_and_no_secrets_go_there(
    reach: Reach, server: LyingServer, make_lying: MakeLying
) -> None:
    cdn = await make_lying(names=("cdn.example",))
    reach.names.leads("cdn.example", 443, cdn.port)
    location = b"Location: https://cdn.example/f?a=b%20c&d\r\n\r\n"
    server.on("GET", "/_matrix/federation/v1/media/thumbnail/abc", lambda _: multipart(JSON_PART, location))
    file_there = web.Response(body=b"thumb", headers={"Content-Type": "image/webp"})
    cdn.on("GET", "/f", lambda _: file_there)
    media = RemoteMedia(reach.requests, reach.connections)
    size = {"width": "32", "height": "32"}
    async with media.thumbnail(ServerName(server.name), "abc", 1000, size) as file:
        assert (file.content_type, [chunk async for chunk in file.chunks]) == ("image/webp", [b"thumb"])
    assert server.asked[-1].query == "width=32&height=32"
    assert cdn.asked[-1].query == "a=b%20c&d"
    assert "Authorization" not in cdn.asked[-1].headers


async def test_servers_from_before_signed_media_are_asked_the_old_way(
    reach: Reach, server: LyingServer
) -> None:
    file_there = web.Response(body=b"old", headers={"Content-Type": "text/plain"})
    server.on(
        "GET", f"/_matrix/media/v3/download/{server.name.replace(':', '%3A')}/abc", lambda _: file_there
    )
    media = RemoteMedia(reach.requests, reach.connections)
    async with media.download(ServerName(server.name), "abc", 1000) as file:
        assert [chunk async for chunk in file.chunks] == [b"old"]
    server.on(
        "GET", "/_matrix/federation/v1/media/", lambda _: (404, {"errcode": "M_NOT_FOUND", "error": "x"})
    )
    before = len(server.asked)
    with pytest.raises(RemoteFailed):
        async with media.download(ServerName(server.name), "abc", 1000):
            pass
    assert len(server.asked) == before + 1


@pytest.mark.parametrize(
    "parts",
    [
        (),
        (JSON_PART,),
        (b"nonsense",),
        (JSON_PART, b"Location: http://a.example/\r\n\r\n"),
        (JSON_PART, b"Location: x:\r\n\r\n"),
    ],
)
async def test_broken_answers_are_no_files(
    reach: Reach, server: LyingServer, parts: tuple[bytes, ...]
) -> None:
    server.on("GET", "/_matrix/federation/v1/media/download/abc", lambda _: multipart(*parts))
    media = RemoteMedia(reach.requests, reach.connections)
    with pytest.raises(RemoteFailed):
        async with media.download(ServerName(server.name), "abc", 1000):
            pass


async def test_answers_of_another_shape_are_failures(
    make_federated: MakeFederated, make_lying: MakeLying
) -> None:
    one, server = await make_federated(), await make_lying()
    remotes, name = one.tenant.remotes, ServerName(server.name)
    room, user = RoomID("!a:b"), UserID(f"@u:{name}")
    for said in ([], {}, {"event": []}, {"pdus": "x", "event": None, "devices": {}, "room_id": 5}, None, 7):
        for method in ("GET", "PUT", "POST"):
            server.on(method, "/_matrix/federation/", lambda _, said=said: (200, orjson.dumps(said)))
        for question in (
            lambda: remotes.make_join(name, room, user, ["12"]),
            lambda: remotes.state_ids(name, room, "$e"),
            lambda: remotes.event(name, "$e"),
            lambda: remotes.backfill(name, room, ["$e"], 5),
            lambda: remotes.missing_events(name, room, [], ["$e"], 5, 0),
            lambda: remotes.resolve_alias(f"#a:{name}"),
            lambda: remotes.hierarchy(name, room, False),
            lambda: remotes.user_devices(user),
            lambda: remotes.query_keys(name, {user: []}),
            lambda: remotes.timestamp_to_event(name, room, 5, "f"),
        ):
            with pytest.raises(RemoteFailed) as failed:
                await question()  # type: ignore[no-untyped-call]
            assert failed.value.told.status == 502


async def test_two_homeservers_ask_each_other(make_federated: MakeFederated) -> None:
    one, two = await make_federated(), await make_federated()
    bob = await two.user("bob")
    assert await one.tenant.remotes.profile(UserID(bob.user_id)) is not None
    assert await two.tenant.remotes.public_rooms(ServerName(one.name), {"limit": 5}) is not None
    keys = await one.tenant.remotes.verify_keys({ServerName(two.name): {two.tenant.signing_key.name: 0}})
    assert (
        keys[ServerName(two.name)][two.tenant.signing_key.name].key == two.tenant.signing_key.verify_key.key
    )
