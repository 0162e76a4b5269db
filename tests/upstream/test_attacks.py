"""What an attacker, or a provider that lies, sends back: nobody is logged in by it."""

from __future__ import annotations

import hmac
import json
import time
from base64 import urlsafe_b64encode
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from joserfc.jwk import RSAKey

from services.upstream.settings import Upstream
from tests.fixtures.homeserver import Homeserver, MakeHomeserver
from tests.fixtures.oidc_provider import SECRET, OidcProvider, providing
from tests.oauth.browser import Page
from tests.upstream.scene import configured, scene, traveller


async def callback(homeserver: Homeserver, peer: OidcProvider) -> tuple[Any, str]:
    """Somebody who has been at the provider, and the address at which they come back."""
    person = traveller(homeserver)
    return person, await person.at_provider(await person.begin())


def refused(page: Page) -> bool:
    """Was it a page of ours that says no?"""
    return page.left_for is None and page.status in (403, 502) and "This did not work" in page.html


def mac(claims: dict[str, Any], secret: bytes) -> str:
    """A token under HS256."""
    parts = (json.dumps(part).encode() for part in ({"alg": "HS256", "kid": "one"}, claims))
    said = b".".join(urlsafe_b64encode(part).rstrip(b"=") for part in parts)
    digest = urlsafe_b64encode(hmac.new(secret, said, "sha256").digest()).rstrip(b"=")
    return (said + b"." + digest).decode()


@pytest.mark.parametrize(
    "lie",
    [
        {"nonce": "another"},
        {"nonce": None},
        {"iss": "https://evil.example"},
        {"iss": None},
        {"aud": "another client"},
        {"aud": ["hearth", "another"], "azp": "another"},
        {"aud": None},
        {"exp": int(time.time()) - 3600},
        {"exp": None},
        {"iat": int(time.time()) + 3600},
        {"sub": None},
        {"sub": ""},
        {"sub": 7},
        {"sub": "x" * 2000},
        {"at_hash": "not this one"},
    ],
)
async def test_a_token_that_is_not_for_this_login_is_refused(
    make_homeserver: MakeHomeserver, peer: OidcProvider, lie: dict[str, Any]
) -> None:
    homeserver = await scene(make_homeserver, peer)
    peer.lie = lie
    assert refused(await traveller(homeserver).go()), lie
    peer.lie = {}
    assert (await traveller(homeserver).go()).status == 200


async def test_only_the_providers_keys_sign(make_homeserver: MakeHomeserver, peer: OidcProvider) -> None:
    homeserver = await scene(make_homeserver, peer)
    peer.signs_with = RSAKey.generate_key(2048, {"kid": "one"}, auto_kid=False)
    assert refused(await traveller(homeserver).go())
    claims = {"iss": peer.issuer, "aud": "hearth", "sub": "7", "iat": 1, "exp": 2**40}
    for token in (
        mac(claims, peer.key.as_pem(private=False)),  # the classic: the public key as a common secret
        mac(claims, SECRET.encode()),
        "eyJhbGciOiJub25lIn0." + mac(claims, b"").split(".")[1] + ".",
        "nonsense",
        "a.b.c",
    ):
        peer.id_token = lambda token=token, **_: token  # type: ignore[method-assign]
        assert refused(await traveller(homeserver).go()), token


async def test_a_new_key_is_found_and_not_looked_for_at_every_lie(
    make_homeserver: MakeHomeserver, peer: OidcProvider
) -> None:
    from tests.fixtures.time import FakeClock

    clock = FakeClock(int(time.time() * 1000))
    homeserver = await make_homeserver(upstream=Upstream((configured(peer),)), clock=clock)
    assert (await traveller(homeserver).go()).status == 200
    peer.signs_with = RSAKey.generate_key(2048, {"kid": "two"}, auto_kid=False)
    for _ in range(3):
        assert refused(await traveller(homeserver).go())
    assert peer.key_requests == 1
    peer.key = peer.signs_with
    clock.advance(61_000)
    peer.lie = {"iat": clock.now() // 1000, "exp": clock.now() // 1000 + 60}
    assert (await traveller(homeserver).go()).status == 200
    assert peer.key_requests == 2


async def test_what_comes_back_is_worth_something_once_and_in_the_browser_that_was_sent(
    make_homeserver: MakeHomeserver, peer: OidcProvider
) -> None:
    homeserver = await scene(make_homeserver, peer)
    person, url = await callback(homeserver, peer)
    victim = traveller(homeserver)
    await victim.begin()
    assert refused(await victim.browser.open(url))  # somebody else's answer, slipped to a victim
    assert refused(await person.browser.open(url))  # and now it is used up
    person, url = await callback(homeserver, peer)
    assert (await person.browser.open(url)).status == 200
    assert refused(await person.browser.open(url))


async def test_a_changed_state_or_code_leads_nowhere(
    make_homeserver: MakeHomeserver, peer: OidcProvider
) -> None:
    homeserver = await scene(make_homeserver, peer)
    for change in (
        {"state": "guessed"},
        {"state": ""},
        {"code": "guessed"},
        {"code": ""},
        {"error": "access_denied"},
    ):
        person, url = await callback(homeserver, peer)
        query = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()} | change
        assert refused(await person.browser.open(f"{url.partition('?')[0]}?{urlencode(query)}")), change


async def test_an_answer_comes_too_late(make_homeserver: MakeHomeserver, peer: OidcProvider) -> None:
    from tests.fixtures.time import FakeClock

    clock = FakeClock(int(time.time() * 1000))
    homeserver = await make_homeserver(upstream=Upstream((configured(peer),)), clock=clock)
    person, url = await callback(homeserver, peer)
    clock.advance(601_000)
    assert refused(await person.browser.open(url))


async def test_one_provider_cannot_answer_for_another(
    make_homeserver: MakeHomeserver, peer: OidcProvider
) -> None:
    async with providing() as other:
        upstream = Upstream((configured(peer), configured(other, "other")))
        homeserver = await make_homeserver(upstream=upstream)
        person = traveller(homeserver)
        url = await person.at_provider(await person.begin())
        assert refused(await person.browser.open(url.replace("/upstream/corp/", "/upstream/other/")))
        # The same subject of two providers is two people.
        await person.go()
        assert await person.logged_in() == "@carol:one.example"
        stranger = traveller(homeserver)
        page = await stranger.browser.open(await stranger.at_provider(await stranger.begin(provider="other")))
        assert page.name == "upstream_name"


async def test_a_provider_that_names_itself_must_do_so(
    make_homeserver: MakeHomeserver, peer: OidcProvider
) -> None:
    peer.names_itself = True
    homeserver = await scene(make_homeserver, peer)
    person, url = await callback(homeserver, peer)
    query = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
    for change in ({"iss": "https://evil.example"}, {"iss": ""}):
        person, url = await callback(homeserver, peer)
        query = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()} | change
        assert refused(await person.browser.open(f"{url.partition('?')[0]}?{urlencode(query)}"))
    assert (await traveller(homeserver).go()).status == 200


@pytest.mark.parametrize(
    "metadata",
    [
        {"issuer": "https://evil.example"},
        {"token_endpoint": "http://127.0.0.1:1/token"},
        {"jwks_uri": "https://evil.example/keys"},
        {"userinfo_endpoint": "file:///etc/passwd"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"token_endpoint": 7},
        {"jwks_uri": None},
    ],
)
async def test_a_provider_leads_us_to_no_other_host(
    make_homeserver: MakeHomeserver, peer: OidcProvider, metadata: dict[str, Any]
) -> None:
    peer.metadata = metadata
    homeserver = await scene(make_homeserver, peer)
    page = await traveller(homeserver).browser.visit("upstream?provider=corp")
    assert (page.status, page.left_for) == (502, None)


async def test_a_host_that_is_configured_may_be_asked(
    make_homeserver: MakeHomeserver, peer: OidcProvider
) -> None:
    async with providing() as other:
        other.key, host = peer.key, urlsplit(other.issuer).netloc
        peer.metadata = {"jwks_uri": f"{other.issuer}/keys"}
        homeserver = await scene(make_homeserver, peer, hosts=(host,))
        assert (await traveller(homeserver).go()).status == 200
        assert (other.key_requests, peer.key_requests) == (1, 0)


async def test_a_provider_that_is_gone_is_told_of(make_homeserver: MakeHomeserver) -> None:
    peer = OidcProvider(issuer="http://127.0.0.1:9")
    homeserver = await scene(make_homeserver, peer)
    page = await traveller(homeserver).browser.visit("upstream?provider=corp")
    assert page.status == 502
