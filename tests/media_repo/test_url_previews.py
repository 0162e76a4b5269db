"""Previews of URLs: what pages tell of themselves, and what the server is not to be led to."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp import web

from services.media.settings import Previews
from services.settings import Federation, Media
from tests.fixtures.client import Client
from tests.fixtures.homeserver import MakeHomeserver
from tests.media_repo.pictures import fetch, picture
from tests.media_repo.web import LOOPBACK, PATH, Web, look, seen

ARTICLE = """<!doctype html><html><head><title>Not this</title>
<meta property="og:title" content="Hedgehogs &amp; co."><meta property="og:description" content="All of   them">
<meta property="og:image" content="/hedgehog.png"><meta property="og:type" content="article"></head>
<body><p>Text.</p></body></html>"""


@pytest.fixture
async def alice(make: Any) -> Client:
    """Somebody who sees links."""
    client: Client = await (await make()).user("alice")
    return client


async def test_a_page_with_open_graph(alice: Client, site: Web) -> None:
    data = picture(400, 300)
    site.has("page.example/a", ARTICLE)
    site.has("page.example/hedgehog.png", data, "image/png")
    said = await seen(alice, "https://page.example/a#part")
    media = said.pop("og:image").removeprefix("mxc://")
    assert said == {
        "og:title": "Hedgehogs & co.",
        "og:description": "All of them",
        "og:type": "article",
        "og:image:type": "image/png",
        "og:image:width": 400,
        "og:image:height": 300,
        "matrix:image:size": len(data),
    }
    assert (await fetch(alice, f"download/{media}"))[2] == data


@pytest.mark.parametrize("path", ["/_matrix/media/v3/preview_url", "/_matrix/media/r0/preview_url"])
async def test_the_older_paths(alice: Client, site: Web, path: str) -> None:
    site.has("page.example/", ARTICLE)
    said = await alice.ok("GET", path, params={"url": "http://page.example"})
    assert said["og:title"] == "Hedgehogs & co."


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("<title>A  title</title><p>Long enough to be the description of it.</p>",
         {"og:title": "A title", "og:description": "Long enough to be the description of it."}),
        ("<h1>Heading</h1><meta name=description content='Said so'>",
         {"og:title": "Heading", "og:description": "Said so"}),
        ("<meta name='twitter:title' content=Bird><meta name='twitter:description' content=Song>",
         {"og:title": "Bird", "og:description": "Song"}),
        ("<title>x</title><script>var long = 'enough to be a description, but code';</script><style>p{}</style>",
         {"og:title": "x"}),
        ("<meta property=og:title content=First><meta property=og:title content=Second>", {"og:title": "First"}),
        ("", {}),
        ("<meta property=og:title content='<script>'>", {"og:title": "<script>"}),
    ],
)  # fmt: skip
async def test_pages_of_every_kind(alice: Client, site: Web, html: str, expected: dict[str, str]) -> None:
    site.has("page.example/x", html)
    assert await seen(alice, "http://page.example/x") == expected


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        ("<title>Grüße Ω</title>".encode(), "text/html"),
        ("<title>Grüße Ω</title>".encode("utf-16"), "text/html"),
        ("<meta charset=iso-8859-7><title>Grüße Ω</title>".replace("ü", "&uuml;").replace("ß", "&szlig;")
         .encode("iso-8859-7"), "text/html"),
        ("<title>Grüße Ω</title>".encode(), "text/html; charset=nonsense"),
        ("<title>Grüße Ω</title>".encode("utf-8-sig"), "text/html; charset=utf-16"),
    ],
)  # fmt: skip
async def test_character_sets(alice: Client, site: Web, body: bytes, content_type: str) -> None:
    site.has("page.example/x", body, content_type)
    assert (await seen(alice, "http://page.example/x"))["og:title"] == "Grüße Ω"


async def test_old_pages_without_a_character_set(alice: Client, site: Web) -> None:
    site.has("page.example/x", "<title>Grüße</title>".encode("latin-1"), "text/html")
    assert (await seen(alice, "http://page.example/x"))["og:title"] == "Grüße"


async def test_oembed_says_what_the_page_does_not(alice: Client, site: Web) -> None:
    link = "<link rel=alternate type='application/json+oembed' href='//other.example/o?x=1'>"
    site.has("page.example/x", f"<meta property=og:title content=Mine>{link}")
    said = {"type": "photo", "title": "Theirs", "author_name": "Ann", "provider_name": "P", "url": "/p.gif"}
    site.has("other.example/o?x=1", orjson.dumps(said), "application/json")
    site.has("other.example/p.gif", picture(90, 80, "GIF"), "image/gif")
    preview = await seen(alice, "http://page.example/x")
    assert preview["og:title"] == "Mine"
    assert (preview["og:site_name"], preview["og:image:width"]) == ("P", 90)


async def test_a_picture_is_its_own_preview(alice: Client, site: Web) -> None:
    site.has("page.example/p", picture(90, 80, "JPEG"), "image/jpeg")
    said = await seen(alice, "http://page.example/p")
    assert (said["og:image:type"], said["og:image:width"], said["og:image:height"]) == ("image/jpeg", 90, 80)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"<svg onload=alert(1)>", "image/svg+xml"),
        (b"no picture", "image/png"),
        (b"<script>", "image/png"),
        (404, "image/png"),
    ],
)
async def test_what_is_no_picture_is_left_out(alice: Client, site: Web, data: Any, kind: str) -> None:
    site.has("page.example/a", ARTICLE)
    site.has("page.example/hedgehog.png", data, kind)
    said = await seen(alice, "http://page.example/a")
    assert said["og:title"] == "Hedgehogs & co."
    assert "og:image" not in said


async def test_many_askers_are_one_visit(alice: Client, site: Web) -> None:
    site.has("page.example/a", ARTICLE)
    site.has("page.example/hedgehog.png", picture(9, 9), "image/png")
    answers = await asyncio.gather(*(seen(alice, "https://page.example/a") for _ in range(20)))
    assert all(answer == answers[0] for answer in answers)
    assert site.asked == ["page.example/a", "page.example/hedgehog.png"]
    await seen(alice, "https://page.example/a")
    assert len(site.asked) == 2


async def test_languages(alice: Client, site: Web) -> None:
    site.has("page.example/x", "<title>x</title>")
    await seen(alice, "http://page.example/x")
    status, _ = await alice.get(
        PATH, params={"url": "http://page.example/x"}, headers={"Accept-Language": "de-DE,de;q=0.9"}
    )
    assert status == 200
    assert site.languages == ["en", "de-DE,de;q=0.9"]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("", 400), ("page.example", 400), ("ftp://page.example/", 400), ("file:///etc/passwd", 400),
        ("javascript:alert(1)", 400), ("http://", 400), ("http://page.example:99999/", 400),
        ("http://[::1", 400), ("http://page.example/" + "x" * 2000, 400), ("http://page.example/\n", 400),
        ("http://page.example\\@other.example/", 400), ("http://user:word@page.example/", 403),
        ("http://user@page.example/", 403), ("http://page.example:8080/", 403), ("https://page.example:80/", 502),
        ("http://page.example:22/", 403), ("http://denied.example/", 403), ("https://www.denied.example/x", 403),
        ("http://DENIED.example./", 403), ("http://nowhere.example/", 502), ("http://page.example/404", 502),
    ],
)  # fmt: skip
async def test_what_is_not_looked_at(make: Any, site: Web, url: str, expected: int) -> None:
    client = await (await make(denied_domains=("denied.example",))).user("alice")
    status, said = await look(client, url)
    assert (status, said["errcode"][:2]) == (expected, "M_")
    assert set(site.asked) <= {"page.example/404"}


PRIVATE = [
    "127.0.0.1", "127.1.2.3", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
    "192.0.0.1", "198.18.0.1", "224.0.0.1", "255.255.255.255", "[::1]", "[::]", "[::ffff:127.0.0.1]",
    "[::ffff:a00:1]", "[::127.0.0.1]", "[64:ff9b::7f00:1]", "[64:ff9b::a9fe:a9fe]", "[2002:7f00:1::]", "[fe80::1]",
    "[fc00::1]", "[fd12:3456::1]", "[ff02::1]", "[2001:0:4136:e378:8000:63bf:80ff:fffe]", "localhost",
    "2130706433", "0x7f000001", "0177.0.0.1", "127.1",
]  # fmt: skip


@pytest.mark.parametrize("host", PRIVATE)
async def test_private_networks_are_out_of_reach(make: Any, site: Web, host: str) -> None:
    client = await (await make(allowed_private_networks=())).user("alice")
    site.names.leads(host.strip("[]"), 80, site.http, "127.0.0.1" if "[" not in host else host.strip("[]"))
    assert (await look(client, f"http://{host}/"))[0] == 502
    assert site.asked == []
    site.knows(
        "rebound.example", host.strip("[]") if host[0] in "[12" and host != "2130706433" else "127.0.0.1"
    )
    assert (await look(client, "http://rebound.example/"))[0] == 502
    assert site.asked == []


async def test_networks_that_federation_may_reach_are_not_meant(
    make_homeserver: MakeHomeserver, site: Web, tmp_path: Path
) -> None:
    homeserver = await make_homeserver(
        names=site.names,
        media=replace(Media(tmp_path / "media"), previews=Previews(enabled=True)),
        federation=Federation(enabled=False, allowed_private_networks=LOOPBACK),
    )
    assert (await look(await homeserver.user("alice"), "http://page.example/"))[0] == 502
    assert site.asked == []


@pytest.mark.parametrize(
    ("to", "expected"),
    [
        ("/there", 200), ("https://other.example/there", 200), ("http://10.0.0.1/", 502), ("http://page.example:22/", 403),
        ("http://denied.example/", 403), ("file:///etc/passwd", 400), ("http://a:b@page.example/", 403), ("/", 502),
        ("http://[::ffff:10.0.0.1]/", 502), ("//[", 502),
    ],
)  # fmt: skip
async def test_every_step_of_a_redirect_is_checked(make: Any, site: Web, to: str, expected: int) -> None:
    client = await (await make(denied_domains=("denied.example",))).user("alice")
    site.has("page.example/", 302, Location=to)
    for host in ("page.example", "other.example"):
        site.has(f"{host}/there", "<title>There</title>")
    status, said = await look(client, "http://page.example/")
    assert status == expected, said
    assert site.asked.count("page.example/") <= 6
    assert not any("denied" in url for url in site.asked)


async def test_only_allowed_sites_where_some_are(make: Any, site: Web) -> None:
    client = await (await make(allowed_domains=("other.example", "*.page.example"))).user("alice")
    site.has("www.page.example/", "<title>x</title>")
    assert (await look(client, "http://page.example/"))[0] == 403
    assert (await look(client, "http://www.page.example/"))[0] == 200


async def test_ports_that_the_settings_name(make: Any, site: Web) -> None:
    client = await (await make(ports=(range(8000, 8002), range(443, 444)))).user("alice")
    site.names.leads("page.example", 8001, site.http)
    site.names.leads("page.example", 8002, site.http)
    site.has("page.example:8001/x", "<title>By a port</title>")
    site.has("other.example/x", "<title>By none</title>")
    assert await seen(client, "http://page.example:8001/x") == {"og:title": "By a port"}
    assert await seen(client, "https://other.example:443/x") == {"og:title": "By none"}
    site.has("page.example:8001/away", 302, Location="http://page.example:8002/")
    for url in ("http://other.example/x", "http://page.example:8002/", "http://page.example:8001/away"):
        assert (await look(client, url))[0] == 403
    assert site.asked == ["page.example:8001/x", "other.example/x", "page.example:8001/away"]


async def test_other_ports_of_private_networks_stay_out_of_reach(make: Any, site: Web) -> None:
    client = await (await make(ports=(range(1, 65536),), allowed_private_networks=())).user("alice")
    assert (await look(client, f"http://127.0.0.1:{site.http}/"))[0] == 502
    assert site.asked == []


async def test_names_of_other_alphabets(alice: Client, site: Web) -> None:
    site.has("xn--tst-qla.example/", "<title>x</title>")
    assert await seen(alice, "https://täst.example/") == {"og:title": "x"}


async def test_switched_off(make: Any, site: Web) -> None:
    client = await (await make(enabled=False)).user("alice")
    assert await look(client, "http://page.example/") == (200, {})
    assert site.asked == []


@pytest.mark.parametrize("by", ["the room", "the user"])
async def test_rooms_that_want_none(alice: Client, site: Web, by: str) -> None:
    room, kind = await alice.create_room(), "org.matrix.room.preview_urls"
    site.has("page.example/", "<title>x</title>")
    wanted = {"url": "http://page.example/", "room_id": room}

    async def switch(disable: bool) -> None:
        if by == "the room":
            await alice.set_state(room, kind, {"disable": disable})
        else:
            path = f"user/{alice.user_id}/rooms/{room}/account_data/{kind}"
            await alice.ok("PUT", path, json={"disable": disable})

    await switch(True)
    assert await alice.ok("GET", PATH, params=wanted) == {}
    assert site.asked == []
    await switch(False)
    assert await alice.ok("GET", PATH, params=wanted) == {"og:title": "x"}
    await switch(True)
    assert await alice.ok("GET", PATH, params=wanted) == {}
    assert await seen(alice, "http://page.example/") == {"og:title": "x"}


async def test_rooms_that_one_may_not_read(make: Any, site: Web) -> None:
    homeserver = await make()
    alice, bob = await homeserver.user("alice"), await homeserver.user("bob")
    room = await alice.create_room()
    for name, expected in ((room, 403), ("!none:elsewhere.example", 403), ("nonsense", 400)):
        assert (await look(bob, "http://page.example/", room_id=name))[0] == expected
    assert site.asked == []


async def test_strangers_get_none(make: Any) -> None:
    assert (await look((await make()).nobody(), "http://page.example/"))[0] == 401


async def test_a_page_without_end_is_read_to_a_point(make: Any, site: Web) -> None:
    client = await (await make(max_page=100_000)).user("alice")

    async def endless(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/html"})
        await response.prepare(request)
        await response.write(b"<title>Endless</title>")
        with contextlib.suppress(ConnectionError):
            while True:
                await response.write(b"<p>x" * 1000)
        return response

    site.has("page.example/", endless)
    assert (await seen(client, "http://page.example/"))["og:title"] == "Endless"


async def test_a_page_that_swells_is_read_to_a_point(make: Any, site: Web) -> None:
    client = await (await make(max_page=100_000)).user("alice")
    bomb = gzip.compress(b"<title>Bomb</title>" + bytes(300_000_000), 9)
    site.has("page.example/", bomb, **{"Content-Encoding": "gzip"})
    assert (await look(client, "http://page.example/"))[0] in (200, 502)


async def test_a_picture_that_is_too_large_is_left_out(make: Any, site: Web) -> None:
    client = await (await make(max_image=100)).user("alice")
    site.has("page.example/a", ARTICLE)
    site.has("page.example/hedgehog.png", picture(400, 300), "image/png")
    assert "og:image" not in await seen(client, "http://page.example/a")


async def test_a_slow_site_is_given_up(make: Any, site: Web) -> None:
    client = await (await make(timeout=300)).user("alice")
    given_up = asyncio.Event()

    async def slow(request: web.BaseRequest) -> web.StreamResponse:
        await given_up.wait()
        return web.Response()

    site.has("page.example/", slow)
    status, said = await look(client, "http://page.example/")
    given_up.set()
    assert (status, "time" in said["error"] or "long" in said["error"]) == (502, True)


async def test_a_page_that_is_nested_without_end_ends(make: Any, site: Web) -> None:
    from services.media.settings import Thumbnails

    client = await (await make(media={"thumbnails": Thumbnails(timeout=1_000)})).user("alice")
    site.has("page.example/", "<title>Deep</title>" + "<div>" * 190_000)
    site.has("page.example/x", "<title>x</title>")
    async with asyncio.timeout(10):
        assert (await look(client, "http://page.example/"))[0] == 502
        assert (await look(client, "http://page.example/x"))[0] == 200


@pytest.mark.parametrize(
    "body", [b"", b"\0" * 1000, b"<" * 1000, b"\xff\xfe", b"<meta property=og:title content=" + b"x" * 9999]
)
async def test_broken_pages(alice: Client, site: Web, body: bytes) -> None:
    site.has("page.example/", body)
    status, said = await look(alice, "http://page.example/")
    assert status in (200, 502)
    assert len(said.get("og:title", "")) <= 1000
