"""A Web Push that Chromium reads, with keys that it has made itself: its own cryptography decrypts, by RFC 8291's words.

A browser that cannot reach its maker's push service gives a page no subscription (`PushManager.subscribe` never answers), so the
page makes what a subscription would hold, and does what the browser does with a push before it wakes the service worker.
"""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from services.settings import Push
from tests.client_api.test_unread import mention
from tests.fixtures.homeserver import MakeHomeserver
from tests.fixtures.live import free_port
from tests.fixtures.push_gateway import PATH, set_pusher
from tests.peers.chromium import PROGRAM, chromium
from tests.push_gateway.conftest import MakeGateway
from tests.push_gateway.test_webpush import APP, ENDPOINT, Mozilla, mozilla, opened

__all__ = ["mozilla"]  # a fixture
pytestmark = pytest.mark.skipif(PROGRAM is None, reason="there is no Chromium")

# RFC 8188 §2.1 and RFC 8291 §3.4, step by step.
_PAGE = """<!doctype html><title>a user agent</title><script>
const bytes = (text) => Uint8Array.from(atob(text), (one) => one.charCodeAt(0));
const text = (given) => btoa(String.fromCharCode(...new Uint8Array(given)))
    .replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
const words = (said) => new TextEncoder().encode(said);
const joined = (...parts) => new Uint8Array(parts.flatMap((one) => [...one]));
const EC = {name: "ECDH", namedCurve: "P-256"};
const own = {};
async function subscribe() {
    own.keys = await crypto.subtle.generateKey(EC, false, ["deriveBits"]);
    own.point = new Uint8Array(await crypto.subtle.exportKey("raw", own.keys.publicKey));
    own.auth = crypto.getRandomValues(new Uint8Array(16));
    return {p256dh: text(own.point), auth: text(own.auth)};
}
async function hkdf(salt, material, info, length) {
    const key = await crypto.subtle.importKey("raw", material, "HKDF", false, ["deriveBits"]);
    const how = {name: "HKDF", hash: "SHA-256", salt, info};
    return new Uint8Array(await crypto.subtle.deriveBits(how, key, length * 8));
}
async function read(pushed) {
    const body = bytes(pushed), salt = body.slice(0, 16), size = body[20];
    const theirs = body.slice(21, 21 + size), record = body.slice(21 + size);
    const key = await crypto.subtle.importKey("raw", theirs, EC, false, []);
    const secret = await crypto.subtle.deriveBits({name: "ECDH", public: key}, own.keys.privateKey, 256);
    const info = joined(words("WebPush: info\\0"), own.point, theirs);
    const material = await hkdf(own.auth, secret, info, 32);
    const content = await hkdf(salt, material, words("Content-Encoding: aes128gcm\\0"), 16);
    const iv = await hkdf(salt, material, words("Content-Encoding: nonce\\0"), 12);
    const cipher = await crypto.subtle.importKey("raw", content, "AES-GCM", false, ["decrypt"]);
    const plain = new Uint8Array(await crypto.subtle.decrypt({name: "AES-GCM", iv}, cipher, record));
    const end = plain.lastIndexOf(2);
    return JSON.parse(new TextDecoder().decode(plain.slice(0, end)));
}
</script>"""


async def test_chromium_reads_what_alice_said(
    make_homeserver: MakeHomeserver, make_gateway: MakeGateway, mozilla: Mozilla, tmp_path: Path
) -> None:
    gateway, port = await opened(make_gateway, mozilla), free_port()
    url = gateway.url + PATH
    homeserver = await make_homeserver(push=Push(private_gateways=(url,)))
    alice, bob = await homeserver.user("alice"), await homeserver.user("bob")
    room = await alice.create_room(preset="public_chat", name="The hall")
    await bob.join(room)
    runner = web.ServerRunner(web.Server(_page))
    await runner.setup()
    await web.TCPSite(runner, "localhost", port).start()
    try:
        async with chromium(tmp_path) as browser, browser.tab(f"http://localhost:{port}/") as tab:
            await tab.until("the page", "typeof subscribe === 'function'")
            keys = await tab.run("subscribe()")
            data = {"endpoint": ENDPOINT, "auth": keys["auth"]}
            await set_pusher(bob, url, keys["p256dh"], data=data, app_id=APP)
            content: dict[str, Any] = mention(bob) | {"body": "Grüße, 👋 "}
            sent = await alice.send(room, content)
            async with asyncio.timeout(90):
                while not mozilla.provider.asked:
                    await asyncio.sleep(0.02)
            pushed = json.dumps(b64encode(mozilla.provider.asked[0].body).decode())
            said = await tab.run(f"read({pushed})")
    finally:
        await runner.cleanup()
    assert (said["event_id"], said["room_id"], said["room_name"]) == (sent, room, "The hall")
    assert (said["content"], said["unread"]) == (content, 1)


async def _page(_: web.BaseRequest) -> web.StreamResponse:
    return web.Response(text=_PAGE, content_type="text/html")
