"""What strangers upload: taken, refused or put away as the settings say, and never run by who looks at it."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from services.media.settings import Checks, Mismatch
from services.settings import Media
from tests.fixtures.client import Client
from tests.fixtures.homeserver import Homeserver, MakeHomeserver
from tests.media_repo.hostile import DOCX, FILES, MZ, NOISE, PDF, PNG, File, zipped
from tests.media_repo.pictures import fetch

UPLOAD = "/_matrix/media/v3/upload"
OPAQUE = "application/octet-stream"


async def send(client: Client, file: File) -> tuple[int, Any]:
    """Uploads it."""
    name = quote(file.name, safe="")
    headers = {"Content-Type": file.content_type}
    return await client.post(f"{UPLOAD}?filename={name}", data=file.data, headers=headers)


def id_of(said: Any) -> str:
    """`<server>/<media ID>`."""
    return str(said["content_uri"]).removeprefix("mxc://")


def test_there_are_enough_of_them() -> None:
    assert len(FILES) >= 80
    assert len({file.what for file in FILES}) == len(FILES)


@pytest.mark.filterwarnings("ignore::UserWarning")
async def test_hostile_files_are_opaque(alice: Client) -> None:
    wrong = []
    for file in FILES:  # on one homeserver: a new one for each would take a second
        try:
            await check(alice, file)
        except AssertionError as error:
            wrong.append(f"{file.what}: {error}")
    assert not wrong, "\n".join(wrong)


async def check(alice: Client, file: File) -> None:
    """Uploads it, gets it back, and asks for a thumbnail."""
    status, said = await send(alice, file)
    assert status == 200, said
    status, headers, body = await fetch(alice, f"download/{id_of(said)}")
    assert (status, body) == (200, file.data)
    content_type, disposition = headers["Content-Type"], headers["Content-Disposition"]
    if file.is_caught:
        assert (content_type, disposition.partition(";")[0]) == (OPAQUE, "attachment")
    else:
        assert content_type.partition(";")[0] == file.content_type.partition(";")[0]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Security-Policy"].startswith("sandbox; default-src 'none'; script-src 'none'")
    assert not any(mark in disposition for mark in ("\r", "\n", "/etc", "Windows\\"))
    status, headers, body = await fetch(alice, f"thumbnail/{id_of(said)}?width=96&height=96&method=crop")
    if file.has_thumbnail:
        assert (status, headers["Content-Type"].partition("/")[0]) == (200, "image")
    else:
        assert (status, b"errcode" in body) == (400, True)


async def with_checks(make: MakeHomeserver, folder: Path, **checks: Any) -> Homeserver:
    """A homeserver with these settings."""
    return await make(media=Media(folder / "checked", checks=Checks(**checks)))


async def test_they_can_be_refused(make_homeserver: MakeHomeserver, tmp_path: Path) -> None:
    homeserver = await with_checks(make_homeserver, tmp_path, mismatch=Mismatch.BLOCK)
    alice = await homeserver.user("alice")
    for file in FILES:
        status, said = await send(alice, file)
        # Noise under a wrong name may be what a client has encrypted.
        if file.is_caught and file.data != NOISE:
            assert (status, said["errcode"]) == (403, "M_FORBIDDEN"), file.what
        elif file.content_type == OPAQUE and file.data == MZ:
            assert status == 403, file.what
        else:
            assert status == 200, file.what


async def test_they_can_be_put_away(make_homeserver: MakeHomeserver, tmp_path: Path) -> None:
    homeserver = await with_checks(make_homeserver, tmp_path, mismatch=Mismatch.QUARANTINE)
    alice = await homeserver.user("alice")
    _, said = await send(alice, File("", PNG, "application/pdf", "a.pdf"))
    status, _, body = await fetch(alice, f"download/{id_of(said)}")
    assert (status, b"M_NOT_FOUND" in body) == (404, True)
    # Equal bytes that say what they are do not suffer for it.
    _, said = await send(alice, File("", PNG, "image/png", "a.png"))
    assert (await fetch(alice, f"download/{id_of(said)}"))[0] == 200


@pytest.mark.parametrize(
    ("content_type", "data", "expected"),
    [
        ("video/mp4", b"\0\0\0\x18ftypisom" + bytes(12), 403),
        ("application/octet-stream", MZ, 403),
        ("application/x-executable", b"x", 403),
        ("image/png", PNG, 200),
        ("application/pdf", PDF, 200),
    ],
)
async def test_blocked_types(
    make_homeserver: MakeHomeserver, tmp_path: Path, content_type: str, data: bytes, expected: int
) -> None:
    types = ("video/*", "application/x-executable")
    homeserver = await with_checks(make_homeserver, tmp_path, blocked_types=types)
    alice = await homeserver.user("alice")
    assert (await send(alice, File("", data, content_type, "a")))[0] == expected


async def test_allowed_types(make_homeserver: MakeHomeserver, tmp_path: Path) -> None:
    homeserver = await with_checks(make_homeserver, tmp_path, allowed_types=("image/*", DOCX))
    alice = await homeserver.user("alice")
    word = zipped("[Content_Types].xml", "word/document.xml")
    for data, content_type, expected in (
        (PNG, "image/png", 200),
        (word, DOCX, 200),
        (PDF, "application/pdf", 403),
    ):
        assert (await send(alice, File("", data, content_type, "a")))[0] == expected
