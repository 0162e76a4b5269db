"""Downloading files: names, types, and headers that keep browsers from running anything."""

from __future__ import annotations

from email.message import Message
from urllib.parse import quote

import pytest

from tests.fixtures.client import Client
from tests.fixtures.homeserver import Homeserver
from tests.media_repo.pictures import fetch, picture, upload


def file_name(headers: dict[str, str]) -> str | None:
    """The name in Content-Disposition, as a client reads it."""
    message = Message()
    message["Content-Disposition"] = headers["Content-Disposition"]
    return message.get_filename()


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("a.png", "a.png"),
        ("two words.png", "two words.png"),
        ("grüße 🦔.png", "grüße 🦔.png"),
        ('say "hello".png', 'say "hello".png'),
        ("a;b=c,d.png", "a;b=c,d.png"),
        ("back\\slash.png", "back_slash.png"),
        ("../../etc/passwd", ".._.._etc_passwd"),
        ("line\r\nSet-Cookie: a=b", "line__Set-Cookie: a=b"),
        ("100%25.png", "100%25.png"),
        ("\u202egnp.exe", "\u202egnp.exe"),
    ],
)
async def test_a_file_keeps_its_name(alice: Client, name: str, shown: str) -> None:
    media = await upload(alice, b"x", query=f"?filename={quote(name, safe='')}")
    _, headers, _ = await fetch(alice, f"download/{media}")
    assert file_name(headers) == shown
    assert "Set-Cookie" not in headers
    other = await upload(alice, b"x")
    _, headers, _ = await fetch(alice, f"download/{other}/{quote(name, safe='')}")
    assert file_name(headers) == shown


async def test_a_file_without_a_name_has_none(alice: Client) -> None:
    media = await upload(alice, b"x", "text/plain")
    assert (await fetch(alice, f"download/{media}"))[1]["Content-Disposition"] == "inline"


async def test_a_name_may_not_be_endless(alice: Client) -> None:
    status, said = await alice.post(f"/_matrix/media/v3/upload?filename={'x' * 300}", data=b"x")
    assert (status, said["errcode"]) == (400, "M_INVALID_PARAM")
    media = await upload(alice, b"x")
    assert (await fetch(alice, f"download/{media}/{'x' * 300}"))[0] == 400


@pytest.mark.parametrize(
    ("content_type", "kind"),
    [
        ("image/png", "inline"),
        ("IMAGE/PNG", "inline"),
        ("text/plain; charset=latin-1", "inline"),
        ("video/mp4", "inline"),
        ("text/html", "attachment"),
        ("text/html; charset=utf-8", "attachment"),
        ("image/svg+xml", "attachment"),
        ("application/xhtml+xml", "attachment"),
        ("application/pdf", "attachment"),
        ("text/javascript", "attachment"),
        ("application/octet-stream", "attachment"),
    ],
)
async def test_browsers_show_what_they_do_not_run(alice: Client, content_type: str, kind: str) -> None:
    bodies = {"image/png": picture(4, 4), "video/mp4": b"\0\0\0\x18ftypisom" + bytes(12)}
    body = bodies.get(content_type.lower(), b"<script>alert(1)</script>")
    media = await upload(alice, body, content_type, "?filename=a")
    status, headers, _ = await fetch(alice, f"download/{media}")
    assert status == 200
    assert headers["Content-Disposition"].partition(";")[0] == kind
    assert headers["Content-Security-Policy"].startswith("sandbox;")
    assert headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "private" in headers["Cache-Control"]
    assert headers["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("one.example/unknown", (404, "M_NOT_FOUND")),
        ("two.example/unknown", (404, "M_NOT_FOUND")),
        ("two.example:8448/unknown", (404, "M_NOT_FOUND")),
        ("one.example/" + "x" * 256, (400, "M_INVALID_PARAM")),
        ("one.example/..%2F..%2Fetc%2Fpasswd", (400, "M_INVALID_PARAM")),
        ("one.example/%00", (400, "M_INVALID_PARAM")),
        ("one.example/%FF", (400, "M_INVALID_PARAM")),
        ("one.example/a%20b", (400, "M_INVALID_PARAM")),
        ("one_example!/unknown", (400, "M_INVALID_PARAM")),
        ("%2E%2E/unknown", (404, "M_NOT_FOUND")),
    ],
)
async def test_what_is_not_there(alice: Client, path: str, expected: tuple[int, str]) -> None:
    for prefix, suffix in (("download", ""), ("download", "/a.png"), ("thumbnail", "?width=32&height=32")):
        status, said = await alice.get(f"/_matrix/client/v1/media/{prefix}/{path}{suffix}")
        assert (status, said["errcode"]) == expected, (prefix, suffix)


async def test_media_of_another_server_with_an_id_of_ours(alice: Client) -> None:
    media = await upload(alice, b"x")
    media_id = media.partition("/")[2]
    assert (await fetch(alice, f"download/one.example/{media_id}"))[0] == 200
    assert (await fetch(alice, f"download/two.example/{media_id}"))[0] == 404


async def test_media_are_for_users_only(homeserver: Homeserver, alice: Client) -> None:
    media = await upload(alice, b"x")
    nobody = homeserver.nobody()
    for path in (
        f"download/{media}",
        f"download/{media}/a.png",
        f"thumbnail/{media}?width=9&height=9",
        "config",
    ):
        status, said = await nobody.get(f"/_matrix/client/v1/media/{path}")
        assert (status, said["errcode"]) == (401, "M_MISSING_TOKEN")
    assert (await nobody.post("/_matrix/media/v3/upload", data=b"x"))[0] == 401


async def test_a_file_whose_bytes_were_lost_is_not_found(homeserver: Homeserver, alice: Client) -> None:
    media = await upload(alice, b"x")
    for path in homeserver.plan.settings.media.folder.rglob("*"):
        if path.is_file():
            path.unlink()
    status, said = await alice.get(f"/_matrix/client/v1/media/download/{media}")
    assert (status, said["errcode"]) == (404, "M_NOT_FOUND")


async def test_the_headers_alone(alice: Client) -> None:
    media = await upload(alice, b"hello", "text/plain")
    headers = {"Authorization": f"Bearer {alice.access_token}"}
    async with alice.session.head(
        f"{alice.url}/_matrix/client/v1/media/download/{media}", headers=headers
    ) as response:
        assert (response.status, response.headers["Content-Length"]) == (200, "5")
