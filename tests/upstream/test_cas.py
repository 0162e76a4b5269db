"""Logging in with a CAS server."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from services.upstream.settings import CasProvider, Face, Mapping, Upstream
from tests.fixtures.cas_server import CasServer, serving_cas
from tests.fixtures.homeserver import Homeserver, MakeHomeserver
from tests.upstream.scene import traveller

SUCCESS = (
    '<cas:serviceResponse xmlns:cas="http://www.yale.edu/tp/cas"><cas:authenticationSuccess>{}'
    "</cas:authenticationSuccess></cas:serviceResponse>"
)
BOMB = (
    '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>'
    '<cas:serviceResponse xmlns:cas="http://www.yale.edu/tp/cas"><cas:authenticationSuccess><cas:user>&b;'
    "</cas:user></cas:authenticationSuccess></cas:serviceResponse>"
)
FILE = BOMB.replace('<!ENTITY b "&a;&a;&a;&a;">', '<!ENTITY b SYSTEM "file:///etc/hostname">')


@pytest.fixture
async def cas() -> AsyncIterator[CasServer]:
    """A CAS server that runs."""
    async with serving_cas() as server:
        yield server


async def with_cas(
    make_homeserver: MakeHomeserver, cas: CasServer, required: tuple[tuple[str, str | None], ...] = ()
) -> Homeserver:
    """A homeserver whose users come from there."""
    provider = CasProvider(Face("corp", "Campus"), cas.url, Mapping("{user}", "{displayName}"), required)
    return await make_homeserver(upstream=Upstream((provider,)))


async def test_a_person_logs_in(make_homeserver: MakeHomeserver, cas: CasServer) -> None:
    cas.attributes = {"displayName": ["Dave & Co"], "group": ["staff", "chess"]}
    homeserver = await with_cas(make_homeserver, cas, required=(("group", "chess"),))
    person = traveller(homeserver)
    await person.go()
    assert await person.logged_in() == "@dave:one.example"
    profile = await homeserver.nobody().ok("GET", "profile/@dave:one.example")
    assert profile["displayname"] == "Dave & Co"


async def test_who_lacks_an_attribute_stays_out(make_homeserver: MakeHomeserver, cas: CasServer) -> None:
    cas.attributes = {"group": ["staff"]}
    homeserver = await with_cas(make_homeserver, cas, required=(("group", "chess"),))
    assert (await traveller(homeserver).go()).status == 403
    homeserver = await with_cas(make_homeserver, cas, required=(("mail", None),))
    assert (await traveller(homeserver).go()).status == 403


async def test_a_ticket_is_for_one_browser_and_one_login(
    make_homeserver: MakeHomeserver, cas: CasServer
) -> None:
    homeserver = await with_cas(make_homeserver, cas)
    person, other = traveller(homeserver), traveller(homeserver)
    mine, theirs = (
        await person.at_provider(await person.begin()),
        await other.at_provider(await other.begin()),
    )
    mixed = f"{mine.partition('&ticket=')[0]}&ticket={theirs.partition('&ticket=')[2]}"
    assert (await person.browser.open(mixed)).status == 403
    assert (await person.browser.open(mine)).status == 403  # the state is used up
    person = traveller(homeserver)
    mine = await person.at_provider(await person.begin())
    assert (await person.browser.open(mine.partition("&ticket=")[0])).status == 403


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        ("nonsense", 502),
        ("", 502),
        (BOMB, 502),
        (FILE, 502),
        (SUCCESS.format(""), 403),
        (SUCCESS.format("<cas:user> </cas:user>"), 403),
        (SUCCESS.replace("serviceResponse", "other").format("<cas:user>dave</cas:user>"), 403),
        (SUCCESS.replace("www.yale.edu", "evil.example").format("<cas:user>dave</cas:user>"), 403),
        ("<x>" * 100_000, 502),
    ],
)
async def test_what_is_no_proper_answer_lets_nobody_in(
    make_homeserver: MakeHomeserver, cas: CasServer, answer: str, status: int
) -> None:
    homeserver = await with_cas(make_homeserver, cas)
    cas.answer = answer
    page = await traveller(homeserver).go()
    assert (page.status, page.left_for) == (status, None)
