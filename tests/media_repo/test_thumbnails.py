"""Smaller pictures: sizes, shapes, transparency, rotation, and files that are no pictures or only claim to be."""

from __future__ import annotations

import asyncio
import io
import os
import signal
from pathlib import Path
from random import Random
from typing import Any, cast

import pytest
from PIL import Image, ImageFile

from media_repo.asked_thumbnail import AskedThumbnail
from media_repo.thumbnails import size_for
from services.isolated.pictures import thumbnail as make_thumbnail
from services.isolated.port import Refused
from services.media.settings import Thumbnails
from services.settings import Media
from tests.fixtures.client import Client
from tests.fixtures.homeserver import Homeserver, MakeHomeserver
from tests.media_repo.pictures import bomb, fetch, picture, upload

# Of spoilt pictures Pillow says what it thinks of them.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

RED, BLUE = (255, 0, 0), (0, 0, 255)


async def thumbnail(client: Client, media: str, query: str) -> tuple[Image.Image, dict[str, str]]:
    """The thumbnail that is answered."""
    status, headers, body = await fetch(client, f"thumbnail/{media}?{query}")
    assert status == 200, body
    assert headers["Content-Security-Policy"].startswith("sandbox;")
    return Image.open(io.BytesIO(body)), headers


@pytest.mark.parametrize(
    ("asked", "made"),
    [
        ((32, 32, "crop"), (32, 32, "crop")),
        ((33, 20, "crop"), (96, 96, "crop")),
        ((1, 1, "scale"), (320, 240, "scale")),
        ((320, 240, "scale"), (320, 240, "scale")),
        ((321, 1, "scale"), (640, 480, "scale")),
        ((800, 600, "scale"), (800, 600, "scale")),
        ((8192, 8192, "scale"), (800, 600, "scale")),
        ((100, 100, "crop"), (320, 240, "scale")),
    ],
)
def test_the_next_larger_size_is_given(asked: tuple[int, int, str], made: tuple[int, int, str]) -> None:
    assert size_for(AskedThumbnail(*asked)) == AskedThumbnail(*made)


@pytest.mark.parametrize(
    ("original", "query", "size"),
    [
        ((1000, 500), "width=32&height=32&method=crop", (32, 32)),
        ((1000, 500), "width=96&height=96&method=crop", (96, 96)),
        ((1000, 500), "width=320&height=240&method=scale", (320, 160)),
        ((1000, 500), "width=320&height=240", (320, 160)),
        ((500, 1000), "width=320&height=240&method=scale", (120, 240)),
        ((1000, 500), "width=9999&height=9999&method=scale", (800, 400)),
        ((40, 20), "width=32&height=32&method=crop", (32, 20)),
        ((3000, 1), "width=320&height=240&method=scale", (320, 1)),
    ],
)
async def test_pictures_are_scaled_or_cropped(
    alice: Client, original: tuple[int, int], query: str, size: tuple[int, int]
) -> None:
    media = await upload(alice, picture(*original))
    image, headers = await thumbnail(alice, media, query)
    assert image.size == size
    assert headers["Content-Disposition"].startswith("inline")
    again, _ = await thumbnail(alice, media, query)
    assert again.size == size


@pytest.mark.parametrize("format", ["PNG", "JPEG", "GIF", "WEBP"])
async def test_a_picture_that_is_small_already_is_given_as_it_is(alice: Client, format: str) -> None:
    data = picture(20, 10, format)
    media = await upload(alice, data, f"image/{format.lower()}", "?filename=small")
    status, headers, body = await fetch(alice, f"thumbnail/{media}?width=32&height=32&method=crop")
    assert (status, body, headers["Content-Type"]) == (200, data, f"image/{format.lower()}")


@pytest.mark.parametrize("format", ["PNG", "JPEG", "GIF", "WEBP"])
async def test_every_kind_of_picture_has_thumbnails(alice: Client, format: str) -> None:
    media = await upload(alice, picture(400, 400, format), f"image/{format.lower()}")
    image, _ = await thumbnail(alice, media, "width=96&height=96&method=crop")
    assert image.size == (96, 96)
    left, right = image.convert("RGB").getpixel((10, 48)), image.convert("RGB").getpixel((85, 48))
    for seen, meant in ((left, RED), (right, BLUE)):
        assert isinstance(seen, tuple)
        assert all(abs(a - b) < 30 for a, b in zip(seen, meant, strict=True)), (seen, meant)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "L", "1", "I;16", "CMYK"])
async def test_every_mode_of_picture_has_thumbnails(alice: Client, mode: str) -> None:
    buffer = io.BytesIO()
    format = "TIFF" if mode == "CMYK" else "PNG"
    if mode == "CMYK":
        format = "JPEG"
    Image.new(mode, (400, 400)).save(buffer, format)
    media = await upload(alice, buffer.getvalue(), f"image/{format.lower()}")
    image, _ = await thumbnail(alice, media, "width=96&height=96&method=crop")
    assert image.size == (96, 96)


async def test_transparency_is_kept(alice: Client) -> None:
    buffer = io.BytesIO()
    Image.new("RGBA", (400, 400), (255, 0, 0, 128)).save(buffer, "PNG")
    media = await upload(alice, buffer.getvalue())
    image, headers = await thumbnail(alice, media, "width=96&height=96&method=crop")
    assert headers["Content-Type"] == "image/png"
    assert image.convert("RGBA").getpixel((5, 5)) == (255, 0, 0, 128)


@pytest.mark.parametrize(("width", "height"), [(320, 240), (640, 480), (2560, 1920)])
async def test_a_large_photograph_has_a_small_thumbnail(alice: Client, width: int, height: int) -> None:
    data = picture(width, height, "JPEG")  # decoders scale these down while they read
    media = await upload(alice, data, "image/jpeg")
    status, _, body = await fetch(alice, f"thumbnail/{media}?width=320&height=240&method=scale")
    assert (status, body == data) == (200, width == 320)
    assert Image.open(io.BytesIO(body)).size == (320, 240)


async def test_a_picture_is_turned_as_its_camera_was(alice: Client) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held upright: to be turned clockwise
    media = await upload(alice, picture(400, 200, "JPEG", exif=exif), "image/jpeg")
    image, _ = await thumbnail(alice, media, "width=320&height=240&method=scale")
    assert image.size == (120, 240)
    assert 0x0112 not in image.getexif()
    top = image.convert("RGB").getpixel((60, 10))
    assert isinstance(top, tuple)
    assert top[0] > 200  # what was left is above


@pytest.fixture
def _as_pillow_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another package of the test environment tells Pillow, for the whole process, to put up with broken files."""
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", False)


@pytest.mark.usefixtures("_as_pillow_is")
@pytest.mark.parametrize(
    ("data", "content_type"),
    [
        (b"", "image/png"),
        (b"not a picture", "image/png"),
        (picture(400, 400)[:300], "image/png"),
        (picture(400, 400, "JPEG")[:700], "image/jpeg"),
        (picture(400, 400, "GIF")[:200], "image/gif"),
        (picture(400, 400, "WEBP")[:100], "image/webp"),
        (picture(400, 400), "text/plain"),
        (picture(400, 400), "image/svg+xml"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "image/png"),
        (picture(400, 400, "BMP"), "image/png"),
        (picture(400, 400, "TIFF"), "image/jpeg"),
        (picture(400, 400, "EPS"), "image/png"),
        (bomb(60_000), "image/png"),
        (bomb(2**31 - 1), "image/png"),
    ],
    ids=lambda value: value if isinstance(value, str) else str(len(value)),
)
async def test_what_is_no_picture_has_no_thumbnail(alice: Client, data: bytes, content_type: str) -> None:
    media = await upload(alice, data, content_type)
    status, said = await alice.get(f"/_matrix/client/v1/media/thumbnail/{media}?width=32&height=32")
    assert (status, said["errcode"]) == (400, "M_UNKNOWN")
    assert (await fetch(alice, f"download/{media}"))[2] == data


async def test_a_picture_of_more_pixels_than_configured_has_no_thumbnail(
    make_homeserver: MakeHomeserver, tmp_path: Path
) -> None:
    homeserver: Homeserver = await make_homeserver(media=Media(tmp_path / "few", max_pixels=10_000))
    alice = await homeserver.user("alice")
    for side, expected in ((100, 200), (101, 400)):
        media = await upload(alice, picture(side, side))
        assert (await fetch(alice, f"thumbnail/{media}?width=32&height=32&method=crop"))[0] == expected


@pytest.mark.parametrize("format", ["PNG", "JPEG", "GIF", "WEBP", "AVIF"])
def test_spoilt_pictures_raise_one_error(format: str) -> None:
    dice, exif = Random(format), Image.Exif()
    exif[0x0112] = 6
    whole = picture(60, 50, format, exif=exif)
    made = refused = 0
    told = {"width": 32, "height": 32, "method": "crop", "animated": False, "max_pixels": 1_000_000}
    for _ in range(400):
        spoilt = bytearray(whole)
        for _ in range(dice.randint(1, 4)):
            spoilt[dice.randrange(len(spoilt))] = dice.randrange(256)
        try:
            make_thumbnail(told, bytes(spoilt))
            made += 1
        except Refused:
            refused += 1
    assert made
    assert refused


@pytest.mark.parametrize(
    "query",
    ["", "width=32", "height=32", "width=0&height=0", "width=-1&height=32", "width=a&height=32",
     "width=1.5&height=32", "width=32&height=32&method=stretch", "width=32&height=32&method="],
)  # fmt: skip
async def test_a_size_must_be_asked_for(alice: Client, query: str) -> None:
    media = await upload(alice, picture(400, 400))
    status, said = await alice.get(f"/_matrix/client/v1/media/thumbnail/{media}?{query}")
    assert status == 400
    assert said["errcode"] in ("M_INVALID_PARAM", "M_MISSING_PARAM")


def moving(format: str, frames: int = 6, side: int = 400) -> bytes:
    """A picture that changes its colour."""
    buffer, pictures = (
        io.BytesIO(),
        [Image.new("RGB", (side, side), (40 * n % 256, 90, 20)) for n in range(frames)],
    )
    pictures[0].save(buffer, format, save_all=True, append_images=pictures[1:], duration=50, loop=0)
    return buffer.getvalue()


@pytest.mark.parametrize("format", ["GIF", "PNG", "WEBP"])
async def test_what_moves_may_move_when_it_is_asked_to(alice: Client, format: str) -> None:
    media = await upload(alice, moving(format), f"image/{format.lower()}")
    size = "width=96&height=96&method=crop"
    image, headers = await thumbnail(alice, media, f"{size}&animated=true")
    assert (headers["Content-Type"], getattr(image, "n_frames", 1), image.size) == ("image/webp", 6, (96, 96))
    for query in (size, f"{size}&animated=false"):
        image, headers = await thumbnail(alice, media, query)
        assert getattr(image, "n_frames", 1) == 1


async def test_a_small_one_that_moves_stands_still_unless_asked(alice: Client) -> None:
    data = moving("GIF", side=20)
    media = await upload(alice, data, "image/gif")
    image, _ = await thumbnail(alice, media, "width=32&height=32&method=crop")
    assert (getattr(image, "n_frames", 1), image.size) == (1, (20, 20))
    assert (await fetch(alice, f"thumbnail/{media}?width=32&height=32&method=crop&animated=true"))[2] == data


@pytest.mark.parametrize("format", ["JPEG", "PNG"])
async def test_what_cannot_move_stands_still(alice: Client, format: str) -> None:
    media = await upload(alice, picture(400, 400, format), f"image/{format.lower()}")
    image, _ = await thumbnail(alice, media, "width=96&height=96&method=crop&animated=true")
    assert getattr(image, "n_frames", 1) == 1


async def test_too_many_frames_stand_still(alice: Client) -> None:
    media = await upload(alice, moving("GIF", 300, 100), "image/gif")
    image, _ = await thumbnail(alice, media, "width=96&height=96&method=crop&animated=true")
    assert getattr(image, "n_frames", 1) == 1


async def made_with(make_homeserver: MakeHomeserver, folder: Path, **settings: int) -> Homeserver:
    """A homeserver whose thumbnails are made so."""
    return await make_homeserver(media=Media(folder / "thumbs", thumbnails=Thumbnails(**settings)))


async def test_any_size_within_bounds_where_that_is_allowed(
    make_homeserver: MakeHomeserver, tmp_path: Path
) -> None:
    homeserver = await made_with(make_homeserver, tmp_path, largest_dynamic=512)
    alice = await homeserver.user("alice")
    media = await upload(alice, picture(1000, 1000))
    for asked, given in ((200, 256), (512, 512), (96, 96), (513, 600)):
        image, _ = await thumbnail(alice, media, f"width={asked}&height={asked}&method=scale")
        assert image.size == ((128 if asked == 96 else given),) * 2
    assert (await thumbnail(alice, media, "width=96&height=96&method=crop"))[0].size == (96, 96)


async def test_many_askers_are_one_thumbnail(homeserver: Homeserver, alice: Client) -> None:
    media = await upload(alice, picture(2000, 2000, "JPEG"), "image/jpeg")
    asked, run = [], homeserver.tenant.isolated.run

    async def counted(function: str, told: dict[str, object], data: bytes) -> object:
        asked.append(function)
        return await run(function, told, data)

    object.__setattr__(homeserver.tenant.isolated, "run", counted)
    answers = await asyncio.gather(
        *(fetch(alice, f"thumbnail/{media}?width=96&height=96&method=crop") for _ in range(20))
    )
    assert {status for status, _, _ in answers} == {200}
    assert len({body for _, _, body in answers}) == 1
    assert asked == ["thumbnail"]


async def test_the_process_is_started_late_and_may_die(
    make_homeserver: MakeHomeserver, tmp_path: Path
) -> None:
    homeserver = await made_with(make_homeserver, tmp_path, processes=1)
    workshop: Any = homeserver.tenant.isolated
    alice = await homeserver.user("alice")
    media = await upload(alice, picture(400, 400))
    assert workshop.processes == []
    await thumbnail(alice, media, "width=96&height=96&method=crop")
    (first,) = workshop.processes
    os.kill(first, signal.SIGKILL)
    status, _, _ = await fetch(alice, f"thumbnail/{media}?width=320&height=240")
    assert status in (200, 400)
    await thumbnail(alice, media, "width=320&height=240")
    assert workshop.processes != [first]
    workshop._idle = 0.01
    await thumbnail(alice, media, "width=32&height=32&method=crop")
    async with asyncio.timeout(10):
        while workshop.processes:
            await asyncio.sleep(0.01)


async def test_a_picture_that_takes_too_long_is_given_up(
    make_homeserver: MakeHomeserver, tmp_path: Path
) -> None:
    homeserver = await made_with(make_homeserver, tmp_path, timeout=1)
    alice = await homeserver.user("alice")
    media = await upload(alice, picture(400, 400))
    status, _, body = await fetch(alice, f"thumbnail/{media}?width=96&height=96&method=crop")
    assert (status, b"M_UNKNOWN" in body) == (400, True)
    assert cast(Any, homeserver.tenant.isolated).processes == []


async def test_a_picture_that_takes_too_much_memory_is_given_up(
    make_homeserver: MakeHomeserver, tmp_path: Path
) -> None:
    homeserver = await make_homeserver(
        media=Media(tmp_path / "m", max_pixels=2**31, thumbnails=Thumbnails(memory=300 * 1024**2))
    )
    alice = await homeserver.user("alice")
    media = await upload(alice, picture(12_000, 12_000, "PNG"))
    status, _, body = await fetch(alice, f"thumbnail/{media}?width=96&height=96&method=crop")
    assert (status, b"M_UNKNOWN" in body) == (400, True)
    small = await upload(alice, picture(400, 400))
    await thumbnail(alice, small, "width=96&height=96&method=crop")
