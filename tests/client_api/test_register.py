"""Making an account."""

import asyncio
from typing import Any

import pytest

from services.settings import MINUTE, Registration, RegistrationMode
from tests.fixtures.client import Client
from tests.fixtures.homeserver import PASSWORD, Homeserver, MakeHomeserver
from tests.fixtures.time import FakeClock

DUMMY = {"type": "m.login.dummy"}


async def register(homeserver: Homeserver, username: str | None, auth: Any = DUMMY, **more: Any) -> Any:
    body = {"password": PASSWORD, "auth": auth} | ({} if username is None else {"username": username}) | more
    return await homeserver.nobody().post("register", body)


async def test_even_open_registration_asks_once(homeserver: Homeserver) -> None:
    body = {"username": "alice", "password": PASSWORD, "initial_device_display_name": "Phone"}
    status, said = await homeserver.nobody().post("register", body)
    assert (status, said["flows"], said["completed"]) == (401, [{"stages": ["m.login.dummy"]}], [])
    auth = DUMMY | {"session": said["session"]}
    status, said = await homeserver.nobody().post("register", body | {"auth": auth})
    assert (status, said["user_id"]) == (200, "@alice:one.example")
    alice = Client(homeserver.session, homeserver.url, access_token=said["access_token"])
    assert (await alice.get("account/whoami"))[1]["device_id"] == said["device_id"]
    assert (await alice.get("devices"))[1]["devices"][0]["display_name"] == "Phone"


async def test_a_name_is_made_up_where_none_is_wanted(homeserver: Homeserver) -> None:
    status, said = await register(homeserver, None)
    assert status == 200
    assert said["user_id"].endswith(":one.example")


async def test_login_can_be_inhibited(homeserver: Homeserver) -> None:
    status, said = await register(homeserver, "alice", inhibit_login=True)
    assert (status, said) == (200, {"user_id": "@alice:one.example"})


async def test_a_client_that_refreshes_gets_what_it_needs_for_it(homeserver: Homeserver) -> None:
    status, said = await register(homeserver, "alice", refresh_token=True, device_id="PHONE")
    assert (status, said["device_id"], said["expires_in_ms"]) == (200, "PHONE", 5 * MINUTE)
    assert (await homeserver.nobody().post("refresh", {"refresh_token": said["refresh_token"]}))[0] == 200


async def test_capitals_become_small(homeserver: Homeserver) -> None:
    assert (await register(homeserver, "Alice"))[1]["user_id"] == "@alice:one.example"


@pytest.mark.parametrize("name", ["", "a b", "a:b", "@alice", "ålice", "a!", "x" * 250, "a\nb"])
async def test_a_name_outside_the_grammar_is_refused(homeserver: Homeserver, name: str) -> None:
    status, said = await register(homeserver, name)
    assert (status, said["errcode"]) == (400, "M_INVALID_USERNAME")
    status, said = await homeserver.nobody().get("register/available", params={"username": name})
    assert (status, said["errcode"]) == (400, "M_INVALID_USERNAME")


async def test_nobody_gets_a_name_that_is_taken(homeserver: Homeserver, alice: Client) -> None:
    status, said = await register(homeserver, "ALICE")
    assert (status, said["errcode"]) == (400, "M_USER_IN_USE")
    available = await homeserver.nobody().get("register/available", params={"username": "alice"})
    assert (available[0], available[1]["errcode"]) == (400, "M_USER_IN_USE")
    assert await homeserver.nobody().get("register/available", params={"username": "bob"}) == (
        200,
        {"available": True},
    )


async def test_of_many_who_want_a_name_at_once_one_gets_it(homeserver: Homeserver) -> None:
    answers = await asyncio.gather(*(register(homeserver, "alice") for _ in range(5)))
    assert sorted(status for status, _ in answers) == [200, 400, 400, 400, 400]


@pytest.mark.parametrize("password", ["short", "x" * 513])
async def test_a_bad_password_is_refused_before_anything_is_asked(
    homeserver: Homeserver, password: str
) -> None:
    body = {"username": "alice", "password": password}
    status, said = await homeserver.nobody().post("register", body)
    assert (status, said["errcode"]) == (400, "M_WEAK_PASSWORD")


@pytest.mark.parametrize(
    ("body", "errcode"),
    [
        ({"username": 1}, "M_BAD_JSON"),
        ({"password": []}, "M_BAD_JSON"),
        ({"auth": "x"}, "M_BAD_JSON"),
        ({"auth": {"type": 1}}, "M_BAD_JSON"),
        ({"auth": {"session": {}}}, "M_BAD_JSON"),
        ({"device_id": ""}, "M_INVALID_PARAM"),
    ],
)
async def test_what_has_another_shape_is_refused(
    homeserver: Homeserver, body: dict[str, Any], errcode: str
) -> None:
    status, said = await homeserver.nobody().post("register", body)
    assert (status, said["errcode"]) == (400, errcode)


async def test_an_unknown_kind_is_refused(homeserver: Homeserver) -> None:
    status, said = await homeserver.nobody().post("register?kind=ghost")
    assert (status, said["errcode"]) == (400, "M_INVALID_PARAM")


# -- closed, and with tokens


async def test_closed_means_closed(make_homeserver: MakeHomeserver) -> None:
    homeserver = await make_homeserver(registration=Registration(RegistrationMode.CLOSED))
    assert (await register(homeserver, "alice"))[0] == 403
    assert (await homeserver.nobody().get("register/available", params={"username": "alice"}))[0] == 403


async def with_tokens(make_homeserver: MakeHomeserver, **more: Any) -> Homeserver:
    registration = Registration(RegistrationMode.TOKEN, tokens=frozenset({"forever"}), **more)
    return await make_homeserver(registration=registration)


def token(said: str) -> dict[str, str]:
    return {"type": "m.login.registration_token", "token": said}


async def is_valid(homeserver: Homeserver, said: str) -> bool:
    path = "/_matrix/client/v1/register/m.login.registration_token/validity"
    return bool((await homeserver.nobody().get(path, params={"token": said}))[1]["valid"])


async def test_a_configured_token_lets_many_in(make_homeserver: MakeHomeserver) -> None:
    homeserver = await with_tokens(make_homeserver)
    assert (await register(homeserver, "alice", DUMMY))[1]["errcode"] == "M_UNRECOGNIZED"
    status, said = await register(homeserver, "alice", token("wrong"))
    assert (status, said["errcode"], said["flows"]) == (
        401,
        "M_FORBIDDEN",
        [{"stages": ["m.login.registration_token"]}],
    )
    for name in ("alice", "bob"):
        assert (await register(homeserver, name, token("forever")))[0] == 200
    assert await is_valid(homeserver, "forever")
    assert not await is_valid(homeserver, "wrong")


async def test_a_token_with_a_number_of_uses_is_used_up(make_homeserver: MakeHomeserver) -> None:
    homeserver = await with_tokens(make_homeserver)
    async with homeserver.tenant.database.read() as tx:
        await tx.execute("INSERT INTO registration_tokens (token, uses_allowed) VALUES ('two', 2)")
    assert await is_valid(homeserver, "two")
    names = [f"user{number}" for number in range(4)]
    answers = await asyncio.gather(*(register(homeserver, name, token("two")) for name in names))
    assert [status for status, _ in answers].count(200) == 2
    assert not await is_valid(homeserver, "two")


async def test_terms_are_accepted_first(make_homeserver: MakeHomeserver) -> None:
    homeserver = await with_tokens(make_homeserver, terms={"Privacy": "https://one.example/privacy"})
    status, said = await register(homeserver, "alice", token("forever"))
    assert (status, said["completed"]) == (401, ["m.login.registration_token"])
    policies = said["params"]["m.login.terms"]["policies"]
    assert policies["Privacy"]["en"] == {"name": "Privacy", "url": "https://one.example/privacy"}
    auth = {"type": "m.login.terms", "session": said["session"]}
    assert (await register(homeserver, "alice", auth))[0] == 200


async def test_a_stage_can_be_passed_in_the_browser(make_homeserver: MakeHomeserver) -> None:
    homeserver = await with_tokens(make_homeserver, terms={"<Rules>": "https://one.example/rules"})
    _, said = await homeserver.nobody().post("register", {"username": "alice", "password": PASSWORD})
    session = said["session"]
    browser = homeserver.nobody()
    terms = f"auth/m.login.terms/fallback/web?session={session}"
    status, page = await browser.get(terms)
    assert status == 200
    assert b"&lt;Rules&gt;" in page
    status, page = await browser.request("POST", terms, data={})
    assert b"onAuthDone" in page
    of_token = f"auth/m.login.registration_token/fallback/web?session={session}"
    assert (await browser.request("POST", of_token, data={"token": "wrong"}))[0] == 403
    assert (await register(homeserver, "alice", {"session": session}))[1]["completed"] == ["m.login.terms"]
    assert (await browser.request("POST", of_token, data={"token": "forever"}))[0] == 200
    assert (await register(homeserver, "alice", {"session": session}))[0] == 200


async def test_there_is_no_page_without_a_session_or_for_an_unknown_stage(homeserver: Homeserver) -> None:
    browser = homeserver.nobody()
    assert (await browser.get("auth/m.login.terms/fallback/web?session=none"))[0] == 400
    assert (await browser.get("auth/m.login.terms/fallback/web"))[0] == 400
    assert (await browser.get("auth/m.login.unknown/fallback/web?session=none"))[0] == 404


# -- sessions of user-interactive authentication


async def test_a_session_is_for_one_body_but_for_its_password(homeserver: Homeserver) -> None:
    _, said = await homeserver.nobody().post("register", {"username": "alice", "password": PASSWORD})
    auth = DUMMY | {"session": said["session"]}
    assert (await register(homeserver, "mallory", auth))[1]["errcode"] == "M_FORBIDDEN"
    assert (await register(homeserver, "alice", auth, password=PASSWORD + "!"))[0] == 200


async def test_a_session_that_was_begun_with_nothing_is_bound_by_the_next_body(
    homeserver: Homeserver,
) -> None:
    _, said = await homeserver.nobody().post("register", {})
    auth = {"session": said["session"]}
    assert (await register(homeserver, "alice", auth))[0] == 401
    assert (await register(homeserver, "mallory", auth | DUMMY))[0] == 403
    assert (await register(homeserver, "alice", auth | DUMMY))[0] == 200


async def test_a_session_can_be_used_once(homeserver: Homeserver) -> None:
    _, said = await homeserver.nobody().post("register", {})
    auth = DUMMY | {"session": said["session"]}
    assert (await register(homeserver, None, auth))[0] == 200
    status, again = await register(homeserver, None, auth)
    assert (status, again["errcode"]) == (401, "M_FORBIDDEN")
    assert again["session"] != said["session"]


async def test_a_session_expires(make_homeserver: MakeHomeserver) -> None:
    clock = FakeClock()
    homeserver = await make_homeserver(clock=clock)
    _, said = await homeserver.nobody().post("register", {})
    clock.advance(15 * MINUTE + 1)
    assert (await register(homeserver, "alice", DUMMY | {"session": said["session"]}))[0] == 401


async def test_another_process_serves_the_next_stage(make_homeserver: MakeHomeserver) -> None:
    one = await make_homeserver()
    two = await make_homeserver(beside=one)
    _, said = await one.nobody().post("register", {"username": "alice", "password": PASSWORD})
    assert (await register(two, "alice", DUMMY | {"session": said["session"]}))[0] == 200


# -- guests


async def test_guests_are_let_in_where_that_is_wanted(make_homeserver: MakeHomeserver) -> None:
    homeserver = await make_homeserver(registration=Registration(RegistrationMode.CLOSED, guests=True))
    status, said = await homeserver.nobody().post("register?kind=guest")
    assert status == 200
    guest = Client(homeserver.session, homeserver.url, said["user_id"], access_token=said["access_token"])
    assert (await guest.get("account/whoami"))[1]["is_guest"] is True
    status, said = await guest.post("delete_devices", {"devices": []})
    assert (status, said["errcode"]) == (403, "M_GUEST_ACCESS_FORBIDDEN")


async def test_guests_are_not_let_in_elsewhere(homeserver: Homeserver) -> None:
    status, said = await homeserver.nobody().post("register?kind=guest")
    assert (status, said["errcode"]) == (403, "M_GUEST_ACCESS_FORBIDDEN")
