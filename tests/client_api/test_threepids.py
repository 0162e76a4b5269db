"""The e-mail addresses of an account: shown by a link in a mail, and good for logging in and for a new password."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from services.settings import DAY, RateLimits, Threepids
from tests.client_api.email import ADDRESS, SECRET, asks, follows, shows
from tests.client_api.uia import confirmed
from tests.fixtures.client import Client
from tests.fixtures.homeserver import PASSWORD, Homeserver, MakeHomeserver
from tests.fixtures.mail import MailServer, mail_server
from tests.fixtures.time import FakeClock

ADD, RESET = "account/3pid", "account/password"
NEW = "a battery of correct horses"


@pytest.fixture
async def mails() -> AsyncIterator[MailServer]:
    """A mail server."""
    async with mail_server() as server:
        yield server


@pytest.fixture
async def homeserver(make_homeserver: MakeHomeserver, mails: MailServer) -> Homeserver:
    """A homeserver that sends mails."""
    return await make_homeserver(mail=mails.settings())


async def own(client: Client) -> list[str]:
    """The addresses of the account."""
    return [one["address"] for one in (await client.ok("GET", ADD))["threepids"]]


async def adds(client: Client, mails: MailServer, address: str = ADDRESS) -> None:
    """The address is one of the account."""
    shown = await shows(client, mails, ADD, address)
    assert await confirmed(client, "POST", f"{ADD}/add", shown) == (200, {})


async def errcode(answer: Any) -> tuple[int, str]:
    """Status and error code of what is awaited."""
    status, said = await answer
    return status, said["errcode"]


# -- an address of an account


async def test_an_address_is_added(alice: Client, mails: MailServer) -> None:
    assert await own(alice) == []
    await adds(alice, mails)
    (threepid,) = (await alice.ok("GET", ADD))["threepids"]
    assert (threepid["medium"], threepid["address"]) == ("email", ADDRESS)
    assert threepid["validated_at"] <= threepid["added_at"]


async def test_only_who_has_followed_the_link_has_shown_the_address(alice: Client, mails: MailServer) -> None:
    _, said = await asks(alice, ADD)
    credentials = {"sid": said["sid"], "client_secret": SECRET}
    link = (await mails.next()).link
    assert await errcode(alice.post(f"{ADD}/add", credentials)) == (400, "M_THREEPID_AUTH_FAILED")
    assert (await alice.get(link))[0] == 200  # as programs do that look after mail
    assert await errcode(alice.post(f"{ADD}/add", credentials)) == (400, "M_THREEPID_AUTH_FAILED")
    wrong = link[:-1] + ("A" if link[-1] != "A" else "B")
    for path in (wrong, link.partition("?")[0], link.replace(said["sid"], "nothing"), link.partition("&")[0]):
        for method in ("GET", "POST"):
            assert (await alice.request(method, path))[0] == 400
    assert await errcode(alice.post(f"{ADD}/add", credentials)) == (400, "M_THREEPID_AUTH_FAILED")
    await follows(alice, link)
    other = credentials | {"client_secret": "another"}
    assert await errcode(alice.post(f"{ADD}/add", other)) == (400, "M_THREEPID_AUTH_FAILED")
    assert (await confirmed(alice, "POST", f"{ADD}/add", credentials))[0] == 200
    assert await errcode(alice.post(f"{ADD}/add", credentials)) == (400, "M_THREEPID_AUTH_FAILED")


async def test_an_address_belongs_to_one_account(alice: Client, bob: Client, mails: MailServer) -> None:
    shown = await shows(bob, mails, ADD)
    body = {"email": ADDRESS, "client_secret": "of_alice", "send_attempt": 1}
    said = await alice.ok("POST", f"{ADD}/email/requestToken", json=body)
    await follows(alice, (await mails.next()).link)
    of_alice = {"sid": said["sid"], "client_secret": "of_alice"}
    assert (await confirmed(alice, "POST", f"{ADD}/add", of_alice))[0] == 200

    status, said = await confirmed(bob, "POST", f"{ADD}/add", shown)
    assert (status, said["errcode"]) == (400, "M_THREEPID_IN_USE")
    assert await errcode(asks(bob, ADD)) == (400, "M_THREEPID_IN_USE")
    assert await errcode(asks(bob, ADD, ADDRESS.upper())) == (400, "M_THREEPID_IN_USE")
    assert (await own(alice), await own(bob)) == ([ADDRESS], [])


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("Alice@Example.ORG", "alice@example.org"),
        ("STRASSE@example.org", "strasse@example.org"),
        ("Straße@example.org", "strasse@example.org"),
        ("a.b+c@sub.example.org", "a.b+c@sub.example.org"),
        ("alice@bücher.example", "alice@xn--bcher-kva.example"),
        (" alice@example.org ", "alice@example.org"),
    ],
)
async def test_an_address_has_one_spelling(alice: Client, mails: MailServer, said: str, kept: str) -> None:
    status, body = await asks(alice, ADD, said)
    assert status == 200, body
    got = await mails.next()
    assert got.recipients == [kept]


@pytest.mark.parametrize(
    "address",
    ["", "alice", "@example.org", "alice@", "a b@example.org", "a@b@example.org", "a,b@example.org", "<a@b.c>",
     "a@example..org", "a@-example.org", "a@exa mple.org", ".a@example.org", "a..b@example.org", "a\n@example.org",
     "Alice <alice@example.org>", "mailto:alice@example.org", "a@[127.0.0.1]", "x" * 65 + "@example.org",
     "a@" + "x" * 64 + ".org", '"a"@example.org', "a\u202eb@example.org"],
)  # fmt: skip
async def test_what_is_no_address_gets_no_mail(alice: Client, address: str) -> None:
    assert await errcode(asks(alice, ADD, address)) == (400, "M_INVALID_PARAM")


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"client_secret": ""}, "M_INVALID_PARAM"),
        ({"client_secret": "with space"}, "M_INVALID_PARAM"),
        ({"client_secret": "x" * 256}, "M_INVALID_PARAM"),
        ({"client_secret": 1}, "M_BAD_JSON"),
        ({"send_attempt": "1"}, "M_BAD_JSON"),
        ({"send_attempt": None}, "M_MISSING_PARAM"),
        ({"next_link": "javascript:alert(1)"}, "M_INVALID_PARAM"),
        ({"next_link": "//example.org"}, "M_INVALID_PARAM"),
        ({"next_link": "https://us@example.org/"}, "M_INVALID_PARAM"),
        ({"next_link": "https://example.org:x/"}, "M_INVALID_PARAM"),
        ({"next_link": "https://example.org\\@one.example"}, "M_INVALID_PARAM"),
    ],
)
async def test_what_a_client_cannot_ask(alice: Client, more: dict[str, Any], code: str) -> None:
    assert await errcode(asks(alice, ADD, **more)) == (400, code)


async def test_one_attempt_is_one_mail(alice: Client, mails: MailServer) -> None:
    _, first = await asks(alice, ADD)
    link = (await mails.next()).link
    assert (await asks(alice, ADD))[1] == first
    assert (await asks(alice, ADD, send_attempt=0))[1] == first
    assert (await asks(alice, ADD, send_attempt=2))[1] == first
    assert (await mails.next()).link == link
    assert (await asks(alice, ADD, client_secret="another"))[1] != first
    assert (await mails.next()).link != link
    assert mails.mails.empty()


async def test_a_link_does_not_last_for_ever(make_homeserver: MakeHomeserver, mails: MailServer) -> None:
    clock = FakeClock()
    homeserver = await make_homeserver(mail=mails.settings(), clock=clock)
    alice = await homeserver.user("alice")
    _, first = await asks(alice, ADD)
    link = (await mails.next()).link
    clock.advance(DAY + 1)
    assert (await alice.request("POST", link))[0] == 400
    assert (await asks(alice, ADD))[1] != first
    assert (await mails.next()).link != link


async def test_where_the_link_leads_on(make_homeserver: MakeHomeserver, mails: MailServer) -> None:
    homeserver = await make_homeserver(
        mail=mails.settings(), threepids=Threepids(next_link_hosts=("app.example",))
    )
    alice = await homeserver.user("alice")
    await asks(alice, ADD, next_link="https://app.example/?a=1")
    link = (await mails.next()).link
    async with alice.session.post(homeserver.url + link, allow_redirects=False) as response:
        assert (response.status, response.headers["Location"]) == (302, "https://app.example/?a=1")
    await asks(alice, ADD, send_attempt=2, client_secret="b", next_link='https://evil.example/"><script>')
    page = await follows(alice, (await mails.next()).link)
    assert '<a href="https://evil.example/&quot;&gt;&lt;script&gt;">evil.example</a>' in page


async def test_an_address_is_deleted(alice: Client, mails: MailServer) -> None:
    await adds(alice, mails)
    pusher = {"kind": "email", "app_id": "m.email", "pushkey": ADDRESS, "lang": "en", "data": {}}
    names = {"app_display_name": "Mail", "device_display_name": "Mail"}
    await alice.post("pushers/set", pusher | names)
    gone = {"medium": "email", "address": ADDRESS.upper()}
    assert await alice.post(f"{ADD}/delete", gone) == (200, {"id_server_unbind_result": "no-support"})
    assert await own(alice) == []
    assert (await alice.ok("GET", "pushers"))["pushers"] == []


async def test_an_ended_account_has_no_address(alice: Client, bob: Client, mails: MailServer) -> None:
    await adds(alice, mails)
    assert (await confirmed(alice, "POST", "account/deactivate"))[1] == {"id_server_unbind_result": "success"}
    await adds(bob, mails)
    assert await own(bob) == [ADDRESS]


# -- what mail is for


async def test_logging_in_by_address(homeserver: Homeserver, alice: Client, mails: MailServer) -> None:
    await adds(alice, mails)
    nobody = homeserver.nobody()
    by = {"type": "m.id.thirdparty", "medium": "email", "address": "ALICE@example.org"}
    login = {"type": "m.login.password", "password": PASSWORD}
    assert (await nobody.post("login", login | {"identifier": by}))[1]["user_id"] == alice.user_id
    old = {"medium": "email", "address": ADDRESS}
    assert (await nobody.post("login", login | old))[1]["user_id"] == alice.user_id
    for wrong in (
        {"address": "bob@example.org"},
        {"medium": "msisdn"},
        {"medium": "pigeon"},
        {"address": "x"},
    ):
        assert await errcode(nobody.post("login", login | {"identifier": by | wrong})) == (403, "M_FORBIDDEN")
    assert (await confirmed(alice, "POST", "delete_devices", {"devices": ["none"]}))[0] == 200


async def reset(client: Client, shown: dict[str, str]) -> tuple[int, Any]:
    """Sets a new password by the address that was shown."""
    auth = {"type": "m.login.email.identity", "threepid_creds": shown}
    return await client.post(RESET, {"new_password": NEW, "auth": auth})


async def test_a_forgotten_password(homeserver: Homeserver, alice: Client, mails: MailServer) -> None:
    await adds(alice, mails)
    nobody = homeserver.nobody()
    status, said = await nobody.post(RESET, {"new_password": NEW})
    flows = [{"stages": ["m.login.password"]}, {"stages": ["m.login.email.identity"]}]
    assert (status, said["flows"]) == (401, flows)
    _, asked = await asks(nobody, RESET)
    shown = {"sid": asked["sid"], "client_secret": SECRET}
    assert (await reset(nobody, shown))[1]["errcode"] == "M_THREEPID_AUTH_FAILED"
    await follows(nobody, (await mails.next()).link)
    assert await reset(nobody, shown) == (200, {})
    assert (await alice.get("account/whoami"))[0] == 401
    assert (await alice.log_in(NEW)).user_id == alice.user_id
    assert (await reset(nobody, shown))[1]["errcode"] == "M_THREEPID_AUTH_FAILED"


async def test_what_was_shown_for_one_thing_is_not_good_for_another(
    homeserver: Homeserver, alice: Client, mails: MailServer
) -> None:
    shown = await shows(alice, mails, ADD)  # Mallory's request, say, to which Alice has said yes
    of_mallory = {"email": ADDRESS, "client_secret": "of_alice", "send_attempt": 1}
    said = await alice.ok("POST", f"{ADD}/email/requestToken", json=of_mallory)
    await follows(alice, (await mails.next()).link)
    assert (await confirmed(alice, "POST", f"{ADD}/add", {"sid": said["sid"], "client_secret": "of_alice"}))[
        0
    ] == 200
    assert (await reset(homeserver.nobody(), shown))[1]["errcode"] == "M_THREEPID_AUTH_FAILED"
    for_reset = await shows(homeserver.nobody(), mails, RESET)
    assert await errcode(alice.post(f"{ADD}/add", for_reset)) == (400, "M_THREEPID_AUTH_FAILED")


async def test_whose_address_it_is_not(homeserver: Homeserver) -> None:
    assert await errcode(asks(homeserver.nobody(), RESET)) == (400, "M_THREEPID_NOT_FOUND")


# -- as it is configured


async def test_nobody_learns_what_addresses_there_are(
    make_homeserver: MakeHomeserver, mails: MailServer
) -> None:
    homeserver = await make_homeserver(mail=mails.settings(), threepids=Threepids(hide_known=True))
    alice, nobody = await homeserver.user("alice"), homeserver.nobody()
    await adds(alice, mails)
    status, unknown = await asks(nobody, RESET, "bob@example.org")
    assert status == 200
    assert (await reset(nobody, {"sid": unknown["sid"], "client_secret": SECRET}))[0] == 401
    status, known = await asks(nobody, ADD, client_secret="other")
    assert (status, known.keys()) == (200, unknown.keys())
    got = await mails.next()
    assert got.message["Subject"] == "You have an account at one.example already"
    assert "http" not in got.part("plain")
    assert mails.mails.empty()


async def test_without_mail_nothing_is_promised(make_homeserver: MakeHomeserver) -> None:
    homeserver = await make_homeserver()
    alice = await homeserver.user("alice")
    for path in (ADD, RESET, "register"):
        assert await errcode(asks(alice, path)) == (400, "M_THREEPID_MEDIUM_NOT_SUPPORTED")
    capabilities = (await alice.ok("GET", "capabilities"))["capabilities"]
    assert capabilities["m.3pid_changes"] == {"enabled": False}
    assert (await homeserver.nobody().post(RESET, {"new_password": NEW}))[1]["flows"] == [
        {"stages": ["m.login.password"]}
    ]


async def test_with_mail_it_is_told(alice: Client) -> None:
    capabilities = (await alice.ok("GET", "capabilities"))["capabilities"]
    assert capabilities["m.3pid_changes"] == {"enabled": True}


async def test_only_some_domains(make_homeserver: MakeHomeserver, mails: MailServer) -> None:
    homeserver = await make_homeserver(
        mail=mails.settings(), threepids=Threepids(allowed_domains=("example.com",))
    )
    nobody = homeserver.nobody()
    assert await errcode(asks(nobody, ADD)) == (403, "M_THREEPID_DENIED")
    assert (await asks(nobody, ADD, "alice@EXAMPLE.com"))[0] == 200


async def test_nobody_is_buried_in_mails(make_homeserver: MakeHomeserver, mails: MailServer) -> None:
    homeserver = await make_homeserver(mail=mails.settings(), rate_limits=RateLimits())
    answers = [await asks(homeserver.nobody(), ADD, client_secret=f"c{number}") for number in range(6)]
    assert [status for status, _ in answers] == [200] * 5 + [429]
    assert answers[-1][1]["errcode"] == "M_LIMIT_EXCEEDED"


@pytest.mark.parametrize("path", [ADD, RESET, "register"])
async def test_there_are_no_phone_numbers(homeserver: Homeserver, path: str) -> None:
    body = {"client_secret": SECRET, "country": "GB", "phone_number": "07700900001", "send_attempt": 1}
    nobody = homeserver.nobody()
    assert await errcode(nobody.post(f"{path}/msisdn/requestToken", body)) == (
        400,
        "M_THREEPID_MEDIUM_NOT_SUPPORTED",
    )
    assert await errcode(nobody.post(f"{path}/msisdn/requestToken", body | {"country": 1})) == (
        400,
        "M_BAD_JSON",
    )
