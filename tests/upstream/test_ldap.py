"""Passwords that a directory knows, on ldaptor's LDAP server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from services.upstream.settings import Ldap, LdapTls, Mapping, Upstream
from tests.fixtures.certificates import Authority
from tests.fixtures.homeserver import PASSWORD, Homeserver, MakeHomeserver
from tests.fixtures.ldap_server import serving_ldap
from tests.oauth.browser import Browser

PEOPLE = """\
dn: dc=example,dc=org
objectClass: domain
dc: example

dn: cn=reader,dc=example,dc=org
objectClass: person
cn: reader
userPassword: reading

dn: ou=people,dc=example,dc=org
objectClass: organizationalUnit
ou: people

"""
PERSON = """\
dn: uid={uid},ou=people,dc=example,dc=org
objectClass: inetOrgPerson
uid: {uid}
cn: {name}
mail: {uid}@corp.example
employeeNumber: {number}
userPassword: {password}

"""


@pytest.fixture
async def ldap(tmp_path: Path) -> AsyncIterator[Ldap]:
    """A directory with erin, frank and alice in it."""
    authority = Authority(tmp_path)
    people = [
        ("erin", "Erin Example", "erins password"),
        ("frank", "Frank", "franks"),
        ("alice", "Alice", "alices"),
    ]
    file = tmp_path / "people.ldif"
    entries = [
        PERSON.format(uid=uid, name=name, password=password, number=number)
        for number, (uid, name, password) in enumerate(people)
    ]
    file.write_text(PEOPLE + "".join(entries))
    async with serving_ldap(file, authority.issue("localhost", "127.0.0.1")) as port:
        yield Ldap(
            f"ldap://localhost:{port}",
            "ou=people,dc=example,dc=org",
            Mapping("{uid}", "{cn}", "{mail}"),
            ca_file=authority.file,
            bind_dn="cn=reader,dc=example,dc=org",
            bind_password="reading",
        )


async def with_ldap(make_homeserver: MakeHomeserver, ldap: Ldap) -> Homeserver:
    """A homeserver that asks the directory."""
    return await make_homeserver(upstream=Upstream(ldap=ldap))


async def log_in(homeserver: Homeserver, name: str, password: str) -> tuple[int, str]:
    """The status, and the user ID or the error code."""
    body = {
        "type": "m.login.password",
        "identifier": {"type": "m.id.user", "user": name},
        "password": password,
        "device_id": "ONE",
    }
    status, said = await homeserver.nobody().post("login", body)
    return status, said.get("user_id") or said.get("errcode")


async def test_an_account_is_made_at_the_first_login(make_homeserver: MakeHomeserver, ldap: Ldap) -> None:
    homeserver = await with_ldap(make_homeserver, ldap)
    for name in ("erin", "@erin:one.example", "erin"):
        assert await log_in(homeserver, name, "erins password") == (200, "@erin:one.example")
    profile = await homeserver.nobody().ok("GET", "profile/@erin:one.example")
    assert profile["displayname"] == "Erin Example"
    browser = Browser(homeserver)
    await browser.visit("account")
    page = await browser.log_in("frank", "franks")
    assert "@frank:one.example" in page.text


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("erin", "wrong"),
        ("erin", ""),
        ("", "erins password"),
        ("nobody", "erins password"),
        ("*", "erins password"),
        ("eri*", "erins password"),
        ("erin)(uid=*", "erins password"),
        ("x)(|(uid=erin", "erins password"),
        ("@erin:elsewhere.example", "erins password"),
        ("x" * 10_000, "erins password"),
    ],
)
async def test_nobody_else_gets_in(
    make_homeserver: MakeHomeserver, ldap: Ldap, name: str, password: str
) -> None:
    homeserver = await with_ldap(make_homeserver, ldap)
    assert await log_in(homeserver, name, password) == (403, "M_FORBIDDEN")


@pytest.mark.parametrize("allowed", [True, False])
async def test_an_account_that_was_there_is_linked_only_where_that_is_allowed(
    make_homeserver: MakeHomeserver, ldap: Ldap, allowed: bool
) -> None:
    ldap = replace(ldap, mapping=replace(ldap.mapping, allow_existing=allowed))
    homeserver = await with_ldap(make_homeserver, ldap)
    await homeserver.user("alice")
    expected = (200, "@alice:one.example") if allowed else (403, "M_FORBIDDEN")
    assert await log_in(homeserver, "alice", "alices") == expected
    assert await log_in(homeserver, "alice", PASSWORD) == (200, "@alice:one.example")


async def test_who_has_no_account_gets_none_where_none_are_made(
    make_homeserver: MakeHomeserver, ldap: Ldap
) -> None:
    ldap = replace(ldap, mapping=replace(ldap.mapping, registration=False))
    homeserver = await with_ldap(make_homeserver, ldap)
    assert await log_in(homeserver, "erin", "erins password") == (403, "M_FORBIDDEN")


async def test_a_name_of_our_own_and_another_of_the_directory(
    make_homeserver: MakeHomeserver, ldap: Ldap
) -> None:
    mapping = Mapping("{uid}.x", "{cn}", None)
    ldap = replace(ldap, mapping=mapping, subject="employeeNumber", filter="(|(uid={name})(mail={name}))")
    homeserver = await with_ldap(make_homeserver, ldap)
    assert await log_in(homeserver, "erin", "erins password") == (200, "@erin.x:one.example")
    # Known by the account, the person is found again by what never changes.
    assert await log_in(homeserver, "@erin.x:one.example", "erins password") == (200, "@erin.x:one.example")
    assert await log_in(homeserver, "erin.x", "franks") == (403, "M_FORBIDDEN")


async def test_what_asks_for_the_password_asks_the_directory(
    make_homeserver: MakeHomeserver, ldap: Ldap
) -> None:
    homeserver = await with_ldap(make_homeserver, ldap)
    body = {"type": "m.login.password", "user": "erin", "password": "erins password", "device_id": "ONE"}
    _, said = await homeserver.nobody().post("login", body)
    client = homeserver.nobody()
    client.access_token = said["access_token"]
    _, said = await client.post("delete_devices", {"devices": ["ONE"]})
    auth = {
        "type": "m.login.password",
        "session": said["session"],
        "identifier": {"type": "m.id.user", "user": "erin"},
    }
    wrong = {"devices": ["ONE"], "auth": auth | {"password": "wrong"}}
    assert (await client.post("delete_devices", wrong))[0] == 401
    right = {"devices": ["ONE"], "auth": auth | {"password": "erins password"}}
    assert (await client.post("delete_devices", right))[0] == 200


async def test_a_directory_that_shows_no_certificate_of_ours_hears_no_password(
    make_homeserver: MakeHomeserver, ldap: Ldap, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    strange = replace(ldap, ca_file=Authority(tmp_path / "other").file)
    homeserver = await with_ldap(make_homeserver, strange)
    assert await log_in(homeserver, "erin", "erins password") == (502, "M_UNKNOWN")
    homeserver = await with_ldap(make_homeserver, replace(strange, tls=LdapTls.NONE))
    assert (await log_in(homeserver, "erin", "erins password"))[0] == 200


async def test_a_directory_that_is_gone_is_told_of_and_keeps_nobody_else_out(
    make_homeserver: MakeHomeserver,
) -> None:
    gone = Ldap("ldap://127.0.0.1:9", "dc=example", Mapping("{uid}"), bind_dn="cn=x", bind_password="y")
    homeserver = await with_ldap(make_homeserver, gone)
    await homeserver.user("alice")
    assert await log_in(homeserver, "erin", "erins password") == (502, "M_UNKNOWN")
    assert await log_in(homeserver, "alice", PASSWORD) == (200, "@alice:one.example")
