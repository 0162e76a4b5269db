"""Mailboxes for a login by QR code, in both forms."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp import ClientResponse
from yarl import URL

from client_api.rendezvous import NEW, OLD
from services import rendezvous
from services.settings import MINUTE, OAuth
from tests.fixtures.homeserver import Homeserver, MakeHomeserver
from tests.fixtures.time import FakeClock


class Box:
    """A mailbox of MSC4108, as two devices see it."""

    def __init__(self, homeserver: Homeserver) -> None:
        self.homeserver = homeserver
        self.path = ""
        self.etag = ""

    async def ask(
        self, method: str, path: str = "", data: bytes = b"", **headers: str
    ) -> tuple[ClientResponse, bytes]:
        url = URL(self.homeserver.url + (path or self.path))
        said = {"Content-Type": "text/plain"} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        async with self.homeserver.session.request(method, url, data=data, headers=said) as response:
            return response, await response.read()

    async def open(self, data: bytes = b"hello") -> None:
        response, _ = await self.ask("POST", OLD, data)
        assert response.status == 201
        said = await response.json()
        base = self.homeserver.tenant.settings.public_base_url
        assert said["url"].startswith(base + OLD)
        self.path, self.etag = said["url"].removeprefix(base), response.headers["ETag"]


async def test_two_devices_talk_by_turns(homeserver: Homeserver) -> None:
    box = Box(homeserver)
    await box.open()
    response, body = await box.ask("GET")
    assert (response.status, body, response.headers["ETag"]) == (200, b"hello", box.etag)
    assert response.content_type == "text/plain"
    assert "ETag" in response.headers["Access-Control-Expose-Headers"]
    assert {"Expires", "Last-Modified"} <= set(response.headers)
    response, body = await box.ask("GET", If_None_Match=box.etag)
    assert (response.status, body) == (304, b"")
    response, _ = await box.ask("PUT", data=b"well met", If_Match=box.etag)
    assert response.status == 202
    new = response.headers["ETag"]
    assert new != box.etag
    response, body = await box.ask("GET", If_None_Match=box.etag)
    assert (response.status, body, response.headers["ETag"]) == (200, b"well met", new)


async def test_who_has_not_seen_the_last_word_writes_nothing(homeserver: Homeserver) -> None:
    box = Box(homeserver)
    await box.open()
    await box.ask("PUT", data=b"first", If_Match=box.etag)
    response, _ = await box.ask("PUT", data=b"second", If_Match=box.etag)
    said = await response.json()
    assert (response.status, said["errcode"]) == (412, "M_UNKNOWN")
    assert said["org.matrix.msc4108.errcode"] == "M_CONCURRENT_WRITE"
    assert (await box.ask("GET"))[1] == b"first"
    response, _ = await box.ask("PUT", data=b"third")
    assert response.status == 400


async def test_a_mailbox_is_small_and_short_lived(make_homeserver: MakeHomeserver) -> None:
    clock = FakeClock()
    box = Box(await make_homeserver(clock=clock))
    assert (await box.ask("POST", OLD, b"x" * 4097))[0].status == 413
    await box.open(b"x" * 4096)
    assert (await box.ask("PUT", data=b"x" * 4097, If_Match=box.etag))[0].status == 413
    clock.advance(2 * MINUTE)
    for method in ("GET", "DELETE"):
        assert (await box.ask(method))[0].status == 404
    assert (await box.ask("PUT", data=b"x", If_Match=box.etag))[0].status == 404


async def test_a_mailbox_is_thrown_away(homeserver: Homeserver) -> None:
    box = Box(homeserver)
    await box.open()
    assert (await box.ask("DELETE"))[0].status == 204
    assert (await box.ask("GET"))[0].status == 404


async def test_nothing_that_a_browser_would_run_comes_back(homeserver: Homeserver) -> None:
    box = Box(homeserver)
    response, _ = await box.ask("POST", OLD, b"<script>", Content_Type="text/html")
    path = (await response.json())["url"].removeprefix(homeserver.tenant.settings.public_base_url)
    response, _ = await box.ask("GET", path)
    assert response.content_type == "application/octet-stream"
    assert response.headers["X-Content-Type-Options"] == "nosniff"


async def test_there_are_not_too_many(homeserver: Homeserver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendezvous, "MOST", 2)
    boxes = [Box(homeserver) for _ in range(3)]
    await boxes[0].open()
    await boxes[1].open()
    response, _ = await boxes[2].ask("POST", OLD, b"x")
    assert response.status == 429


async def test_two_devices_talk_in_the_new_form(make_homeserver: MakeHomeserver) -> None:
    homeserver = await make_homeserver(clock=FakeClock())
    nobody = homeserver.nobody()
    assert await nobody.ok("GET", NEW) == {"create_available": True}
    made: dict[str, Any] = await nobody.ok("POST", NEW, json={"data": "hello"})
    path, first = f"{NEW}/{made['id']}", made["sequence_token"]
    assert made["expires_in_ms"] == 2 * MINUTE
    read = await nobody.ok("GET", path)
    assert read == {"data": "hello", "sequence_token": first, "expires_in_ms": 2 * MINUTE}
    body = {"data": "well met", "sequence_token": first}
    second = (await nobody.ok("PUT", path, json=body))["sequence_token"]
    assert second != first
    # An answer that was lost is asked for again.
    assert (await nobody.ok("PUT", path, json=body))["sequence_token"] == second
    status, said = await nobody.put(path, {"data": "other", "sequence_token": first})
    assert (status, said["errcode"]) == (409, "IO_ELEMENT_MSC4388_CONCURRENT_WRITE")
    assert await nobody.ok("DELETE", path) == {}
    assert (await nobody.get(path))[0] == 404


@pytest.mark.parametrize(
    ("body", "status"),
    [({}, 400), ({"data": 1}, 400), ({"data": "x" * 4097}, 413), ({"data": "é" * 2049}, 413)],
)
async def test_what_the_new_form_refuses(homeserver: Homeserver, body: dict[str, Any], status: int) -> None:
    assert (await homeserver.nobody().post(NEW, body))[0] == status


async def test_a_second_process_serves_the_other_device(
    homeserver: Homeserver, make_homeserver: MakeHomeserver
) -> None:
    other = await make_homeserver(beside=homeserver)
    made = await homeserver.nobody().ok("POST", NEW, json={"data": "hello"})
    assert (await other.nobody().ok("GET", f"{NEW}/{made['id']}"))["data"] == "hello"


async def test_the_flags_say_what_there_is(homeserver: Homeserver, make_homeserver: MakeHomeserver) -> None:
    without = await make_homeserver("two.example", oauth=OAuth(enabled=False))
    for server, on in ((homeserver, True), (without, False)):
        features = (await server.nobody().ok("GET", "/_matrix/client/versions"))["unstable_features"]
        assert features["org.matrix.msc4108"] is features["io.element.msc4388"] is on
        assert await server.nobody().ok("GET", NEW) == {"create_available": on}
    assert (await without.nobody().post(NEW, {"data": "x"}))[0] == 404
