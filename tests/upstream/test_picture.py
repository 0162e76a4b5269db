"""The picture that a provider has of a new user: fetched from the web, once, and never from where it should not be."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

import services.upstream.picture
from services.media.settings import Previews
from services.settings import Federation, Media
from services.upstream.picture import MAX_BYTES
from services.upstream.settings import Mapping, Upstream
from tests.fixtures.certificates import Authority
from tests.fixtures.homeserver import Homeserver, MakeHomeserver
from tests.fixtures.names import FakeNames
from tests.fixtures.oidc_provider import OidcProvider
from tests.media_repo.pictures import fetch, picture
from tests.media_repo.web import LOOPBACK, Web
from tests.upstream.scene import MAPPING, configured, traveller

FACE = "https://page.example/carol.png"


@pytest.fixture
async def site(authority: Authority) -> AsyncIterator[Web]:
    """The web, in which the provider keeps its pictures."""
    async with Web(FakeNames(), authority.issue("page.example").server_context()) as made:
        yield made


@pytest.fixture
def make(
    make_homeserver: MakeHomeserver, authority: Authority, site: Web, peer: OidcProvider, tmp_path: Path
) -> Any:
    """`await make(mapping, allowed=...)`: a homeserver to which this machine is the web."""

    async def made(mapping: Mapping = MAPPING, allowed: Any = LOOPBACK, **media: Any) -> Homeserver:
        previews = Previews(allowed_private_networks=allowed)  # they are off: that is another thing
        return await make_homeserver(
            upstream=Upstream((configured(peer, mapping=mapping),)),
            names=site.names,
            media=replace(Media(tmp_path / "media"), previews=previews, **media),
            federation=Federation(enabled=False, ca_file=authority.file),
        )

    return made


async def comes(homeserver: Homeserver) -> Any:
    """Somebody logs in; the profile of the user that they are."""
    person = traveller(homeserver)
    await person.go()
    user_id = await person.logged_in()
    status, profile = await homeserver.nobody().get(f"profile/{user_id}")
    return profile if status == 200 else {}


async def test_a_new_user_has_the_providers_picture(make: Any, site: Web, peer: OidcProvider) -> None:
    data = picture(64, 64)
    site.has("page.example/carol.png", data, "image/png")
    peer.person["picture"] = FACE
    homeserver = await make()
    profile = await comes(homeserver)
    uri = profile["avatar_url"]
    alice = await homeserver.user("alice")
    assert (await fetch(alice, f"download/{uri.removeprefix('mxc://')}"))[2] == data
    # The first time only: what the user has chosen since stays, and nobody asks again.
    site.has("page.example/carol.png", picture(32, 32), "image/png")
    assert (await comes(homeserver))["avatar_url"] == uri
    assert site.asked == ["page.example/carol.png"]


async def test_who_chooses_a_name_has_it_too(make: Any, site: Web, peer: OidcProvider) -> None:
    site.has("page.example/carol.png", picture(64, 64), "image/png")
    peer.person["picture"] = FACE
    homeserver = await make(replace(MAPPING, choose_localpart=True))
    person = traveller(homeserver)
    page = await person.go()
    assert page.name == "upstream_name"
    await person.browser.submit(name="dora")
    profile = await homeserver.nobody().ok("GET", "profile/@dora:one.example")
    assert profile["avatar_url"].startswith("mxc://one.example/")


@pytest.mark.parametrize(
    ("url", "body", "content_type"),
    [
        (FACE, 404, "image/png"),
        (FACE, "<svg xmlns='http://www.w3.org/2000/svg'/>", "image/svg+xml"),
        (FACE, "<p>no picture</p>", "text/html"),
        (FACE, "no picture", "image/png"),
        (FACE, picture(64, 64) + bytes(MAX_BYTES), "image/png"),
        ("https://nobody:secret@page.example/carol.png", picture(8, 8), "image/png"),
        ("https://page.example:8443/carol.png", picture(8, 8), "image/png"),
        ("file:///etc/passwd", "", ""),
        ("mxc://one.example/abc", "", ""),
        ("data:image/png;base64,AAAA", "", ""),
        ("\udcff\u0000 ", "", ""),
        ("https://page.example/" + "x" * 3000, "", ""),
    ],
)
async def test_what_is_no_picture_keeps_nobody_out(
    make: Any, site: Web, peer: OidcProvider, url: str, body: Any, content_type: str
) -> None:
    site.has("page.example/carol.png", body, content_type)
    peer.person["picture"] = url.replace("\udcff", "?")
    assert "avatar_url" not in await comes(await make())


@pytest.mark.parametrize(
    "url",
    [FACE, "http://127.0.0.1/", "http://[::1]/", "http://169.254.169.254/latest", "http://localhost:8008/"],
)
async def test_private_networks_are_not_asked(make: Any, site: Web, peer: OidcProvider, url: str) -> None:
    site.has("page.example/carol.png", picture(64, 64), "image/png")
    peer.person["picture"] = url
    assert "avatar_url" not in await comes(await make(allowed=()))
    assert site.asked == []


async def test_a_redirect_leads_nowhere_that_the_address_may_not(
    make: Any, site: Web, peer: OidcProvider
) -> None:
    site.knows("inside.example", "10.1.2.3")
    site.has("page.example/carol.png", 302, Location="https://inside.example/carol.png")
    site.has("inside.example/carol.png", picture(64, 64), "image/png")
    peer.person["picture"] = FACE
    assert "avatar_url" not in await comes(await make())
    assert site.asked == ["page.example/carol.png"]


async def test_where_no_picture_is_mapped_nobody_is_asked(make: Any, site: Web, peer: OidcProvider) -> None:
    site.has("page.example/carol.png", picture(64, 64), "image/png")
    peer.person["picture"] = FACE
    assert "avatar_url" not in await comes(await make(replace(MAPPING, picture=None)))
    assert site.asked == []


async def test_a_site_that_does_not_answer_does_not_hold_the_login_up(
    make: Any, site: Web, peer: OidcProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services.upstream.picture, "SECONDS", 0.2)
    never = asyncio.Event()

    async def answer(request: web.BaseRequest) -> web.Response:
        await never.wait()
        return web.Response()

    site.has("page.example/carol.png", answer)
    peer.person["picture"] = FACE
    assert "avatar_url" not in await comes(await make())
    never.set()
