"""A real browser (Chromium, where the machine has one) shows a thumbnail, and plays sound and a video by range requests."""

from __future__ import annotations

import asyncio
import io
import wave
from pathlib import Path

import pytest
from aiohttp import web

from tests.fixtures.client import Client
from tests.fixtures.homeserver import Homeserver
from tests.media_repo.pictures import picture, upload
from tests.peers.chromium import PROGRAM

pytestmark = [pytest.mark.peers, pytest.mark.skipif(PROGRAM is None, reason="there is no Chromium here")]

PAGE = """<!doctype html><body><script>
const base = "%(url)s/_matrix/client/v1/media/", token = "%(token)s", seen = {};
async function thumbnail() {
  const answer = await fetch(base + "thumbnail/%(picture)s?width=96&height=96&method=crop",
    {headers: {Authorization: "Bearer " + token}});
  const image = new Image();
  image.src = URL.createObjectURL(await answer.blob());
  await image.decode();
  seen.thumbnail = image.naturalWidth + "x" + image.naturalHeight;
}
async function recording() {
  const player = document.createElement("video");
  player.muted = true;
  player.preload = "metadata";
  player.src = base + "download/%(sound)s?access_token=" + token;
  await new Promise((ready, failed) => { player.onloadedmetadata = ready; player.onerror = () => failed(player.error.message); });
  seen.duration = Math.round(player.duration);
  player.currentTime = 250;
  await new Promise(ready => player.onseeked = ready);
  await player.play();
  await new Promise(ready => player.ontimeupdate = () => player.currentTime > 250 && ready());
  seen.played = true;
}
async function filmed() {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [160, 120];
  const paint = canvas.getContext("2d"), parts = [];
  const painting = setInterval(() => {
    paint.fillStyle = `hsl(${Math.random() * 360} 80%% 50%%)`;
    paint.fillRect(Math.random() * 100, Math.random() * 80, 60, 40);
  }, 40);
  const recorder = new MediaRecorder(canvas.captureStream(25), {mimeType: "video/webm"});
  await new Promise((ready, failed) => {
    recorder.ondataavailable = event => parts.push(event.data) == 15 && recorder.stop();
    recorder.onstop = ready;
    recorder.onerror = event => failed(event.error);
    recorder.start(100);
  });
  clearInterval(painting);
  return new Blob(parts, {type: "video/webm"});
}
async function video() {
  const answer = await fetch("%(url)s/_matrix/media/v3/upload",
    {method: "POST", body: await filmed(), headers: {Authorization: "Bearer " + token}});
  const player = document.createElement("video");
  player.muted = true;
  player.src = base + "download/" + (await answer.json()).content_uri.slice(6) + "?access_token=" + token;
  await new Promise((ready, failed) => {
    player.ontimeupdate = () => player.currentTime > 0.1 && ready();
    player.onerror = () => failed(player.error.message);
    player.play().catch(failed);
  });
  seen.video = player.videoWidth + "x" + player.videoHeight;
}
async function page() {
  const frame = document.createElement("iframe");
  frame.src = base + "download/%(page)s?access_token=" + token;
  document.body.append(frame);
  await new Promise(ready => setTimeout(ready, 500));
}
Promise.all([thumbnail(), recording(), video(), page()]).catch(error => seen.error = String(error))
  .then(() => fetch("/seen", {method: "POST", body: JSON.stringify(seen)}));
</script>"""


def recording(seconds: int) -> bytes:
    """Silence, much larger than what a browser reads at once."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(16_000)
        sound.writeframes(bytes(seconds * 32_000))
    return buffer.getvalue()


def statuses(homeserver: Homeserver) -> list[int]:
    """Of the downloads that are over."""
    return [served.status for served in homeserver.served if "download" in served.path]


async def test_a_browser_shows_and_plays(homeserver: Homeserver, alice: Client, tmp_path: Path) -> None:
    evil = b"<script>fetch('http://127.0.0.1:%d/evil')</script>"
    seen: asyncio.Future[dict[str, object]] = asyncio.get_running_loop().create_future()
    asked: list[str] = []

    async def serve(request: web.BaseRequest) -> web.StreamResponse:
        asked.append(request.path)
        if request.path == "/seen":
            seen.set_result(await request.json())
            return web.Response()
        return web.Response(text=page, content_type="text/html")

    runner = web.ServerRunner(web.Server(serve))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    page = PAGE % {
        "url": homeserver.url,
        "token": alice.access_token,
        "picture": await upload(alice, picture(400, 300)),
        "sound": await upload(alice, recording(300), "audio/wav"),
        "page": await upload(alice, evil % port, "text/html"),
    }
    assert PROGRAM is not None
    browser = await asyncio.create_subprocess_exec(
        PROGRAM, "--headless", "--no-sandbox", "--disable-gpu", "--autoplay-policy=no-user-gesture-required",
        "--disable-dev-shm-usage", f"--user-data-dir={tmp_path}", "--remote-debugging-port=0", f"http://127.0.0.1:{port}/",
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        async with asyncio.timeout(120):
            told = await seen
    finally:
        browser.kill()
        await browser.wait()
        await runner.cleanup()
    assert told == {"thumbnail": "96x96", "duration": 300, "played": True, "video": "160x120"}
    assert "/evil" not in asked
    # A part that the browser did not read to its end is told as 499.
    async with asyncio.timeout(60):
        while len(parts := [one for one in statuses(homeserver) if one != 200]) < 2 or 206 not in parts:
            await asyncio.sleep(0.05)
