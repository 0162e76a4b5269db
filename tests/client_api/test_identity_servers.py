"""Identity servers, asked in the name of a user: what is published there, and invites to addresses."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from federation.client.request import signed_object
from protocol.signing import sign_json
from services.settings import Threepids
from storage.threepids import Threepid, insert_threepid
from tests.client_api.identity import KEY, TOKEN, Identity
from tests.client_api.uia import confirmed
from tests.fixtures.certificates import Authority
from tests.fixtures.client import Client
from tests.fixtures.federation import MakeLying, federation_settings
from tests.fixtures.homeserver import Homeserver, MakeHomeserver

ADDRESS = "alice@example.org"


@pytest.fixture
async def identity(make_lying: MakeLying) -> Identity:
    """An identity server."""
    return Identity(await make_lying())


@pytest.fixture
async def homeserver(make_homeserver: MakeHomeserver, authority: Authority) -> Homeserver:
    """A homeserver that reaches servers on this machine."""
    return await make_homeserver(
        federation=federation_settings(authority, enabled=False), threepids=Threepids()
    )


def credentials(identity: Identity, **more: Any) -> dict[str, Any]:
    """For bind."""
    usual = {"id_server": identity.name, "id_access_token": TOKEN, "sid": "validated", "client_secret": "s"}
    return usual | more


def address(**more: Any) -> dict[str, Any]:
    """An address of alice's."""
    return {"medium": "email", "address": ADDRESS} | more


async def errcode(answer: Any) -> tuple[int, str]:
    """Status and error code of what is awaited."""
    status, said = await answer
    return status, said["errcode"]


# -- publishing


async def test_an_address_is_published_and_withdrawn(
    homeserver: Homeserver, alice: Client, identity: Identity
) -> None:
    assert await alice.post("account/3pid/bind", credentials(identity)) == (200, {})
    assert identity.users == {ADDRESS: alice.user_id}
    assert (await alice.ok("GET", "account/3pid"))["threepids"] == []  # it is not one of the account

    unbound = await alice.post("account/3pid/unbind", address())
    assert unbound == (200, {"id_server_unbind_result": "success"})
    (asked,) = identity.unbound
    assert asked.json == {"mxid": alice.user_id, "threepid": address()}
    header = asked.headers["Authorization"]
    signed = signed_object("POST", asked.path, homeserver.name, identity.name, asked.body)
    signature = header.partition('sig="')[2].rstrip('"')
    homeserver.tenant.signing_key.verify_key.verify(signed, signature)
    # It is not known to be published any more.
    again = await alice.post("account/3pid/unbind", address())
    assert again == (200, {"id_server_unbind_result": "no-support"})


async def test_the_old_way_to_publish(alice: Client, identity: Identity) -> None:
    assert await alice.post("account/3pid", {"three_pid_creds": credentials(identity)}) == (200, {})
    assert identity.users == {ADDRESS: alice.user_id}


async def test_a_deleted_address_is_withdrawn(alice: Client, identity: Identity) -> None:
    await alice.post("account/3pid/bind", credentials(identity))
    deleted = await alice.post("account/3pid/delete", address())
    assert deleted == (200, {"id_server_unbind_result": "success"})
    assert identity.users == {}


async def test_an_ended_account_is_withdrawn(alice: Client, identity: Identity) -> None:
    await alice.post("account/3pid/bind", credentials(identity))
    ended = await confirmed(alice, "POST", "account/deactivate")
    assert ended == (200, {"id_server_unbind_result": "success"})
    assert identity.users == {}


async def test_what_the_identity_server_refuses(alice: Client, identity: Identity) -> None:
    bind = "account/3pid/bind"
    assert await errcode(alice.post(bind, credentials(identity, sid="x"))) == (400, "M_SESSION_NOT_VALIDATED")
    # Not a 401: the client's own token is as good as ever.
    wrong = credentials(identity, id_access_token="wrong")
    assert await errcode(alice.post(bind, wrong)) == (403, "M_FORBIDDEN")
    assert await errcode(alice.post(bind, credentials(identity, id_access_token="a\nb"))) == (
        400,
        "M_INVALID_PARAM",
    )


@pytest.mark.parametrize(
    ("answer", "unbind", "delete"),
    [
        ((404, {}), (200, "no-support"), (200, "no-support")),
        ((501, {"error": "no"}), (200, "no-support"), (200, "no-support")),
        ((404, {"errcode": "M_UNRECOGNIZED", "error": "?"}), (200, "no-support"), (200, "no-support")),
        ((403, {"errcode": "M_FORBIDDEN", "error": "no"}), (403, "M_FORBIDDEN"), (200, "no-support")),
        ((401, {"errcode": "M_UNAUTHORIZED", "error": "no"}), (403, "M_FORBIDDEN"), (200, "no-support")),
    ],
)
async def test_what_cannot_be_withdrawn(
    alice: Client, identity: Identity, answer: Any, unbind: tuple[int, str], delete: tuple[int, str]
) -> None:
    identity.server.on("POST", "/_matrix/identity/v2/3pid/unbind", lambda _: answer)
    for path, expected in (("unbind", unbind), ("delete", delete)):
        status, said = await alice.post(f"account/3pid/{path}", address(id_server=identity.name))
        assert (status, said.get("id_server_unbind_result") or said["errcode"]) == expected


@pytest.mark.parametrize(
    "answer",
    [
        [],
        {},
        {"medium": 1, "address": "x"},
        {"medium": "email", "address": "\0"},
        (302, {}),
        (500, {"errcode": 1}),
    ],
)
async def test_nonsense(alice: Client, identity: Identity, answer: Any) -> None:
    identity.server.on("POST", "/_matrix/identity/v2/3pid/bind", lambda _: answer)
    assert await errcode(alice.post("account/3pid/bind", credentials(identity))) == (502, "M_UNKNOWN")


async def test_what_may_not_be_asked(
    make_homeserver: MakeHomeserver, authority: Authority, identity: Identity
) -> None:
    here = federation_settings(authority, enabled=False)
    no_private = replace(here, allowed_private_networks=())
    for federation, threepids, status, code in (
        (here, Threepids(identity_servers_enabled=False), 400, "M_SERVER_NOT_TRUSTED"),
        (here, Threepids(identity_servers=("id.example",)), 400, "M_SERVER_NOT_TRUSTED"),
        (no_private, Threepids(), 502, "M_UNKNOWN"),
        (here, Threepids(identity_servers=(identity.name,)), 200, None),
    ):
        homeserver = await make_homeserver(federation=federation, threepids=threepids)
        alice = await homeserver.user("alice")
        answered, said = await alice.post("account/3pid/bind", credentials(identity))
        assert (answered, said.get("errcode")) == (status, code)
    for name in ("", "a/b", "a?b", "user@host", "http://x", "a b"):
        for path, body in (("bind", credentials(identity)), ("unbind", address()), ("delete", address())):
            answer = alice.post(f"account/3pid/{path}", body | {"id_server": name})
            assert await errcode(answer) == (400, "M_INVALID_PARAM")


# -- inviting


def guest(identity: Identity, **more: Any) -> dict[str, Any]:
    """For invites."""
    usual = {
        "id_server": identity.name,
        "id_access_token": TOKEN,
        "medium": "email",
        "address": "bob@example.org",
    }
    return usual | more


async def membership(client: Client, room_id: str, user_id: str) -> str | None:
    status, said = await client.get(f"rooms/{room_id}/state/m.room.member/{user_id}")
    return said["membership"] if status == 200 else None


async def test_whom_the_identity_server_knows_is_invited(
    alice: Client, bob: Client, identity: Identity
) -> None:
    identity.users["bob@example.org"] = bob.user_id
    room_id = await alice.create_room()
    body = guest(identity, address="BOB@example.org", reason="why not")
    assert await alice.post(f"rooms/{room_id}/invite", body) == (200, {})
    invited = await alice.state(room_id, "m.room.member", bob.user_id)
    assert (invited["membership"], invited["reason"]) == ("invite", "why not")
    assert identity.invites == []


async def test_whose_address_is_one_of_an_account_here_is_invited(
    homeserver: Homeserver, alice: Client, bob: Client, identity: Identity
) -> None:
    async with homeserver.tenant.database.read() as tx:
        await insert_threepid(tx, bob.user_id, Threepid("email", "bob@example.org", 1, 1))
    room_id = await alice.create_room()
    assert await alice.post(f"rooms/{room_id}/invite", guest(identity)) == (200, {})
    assert await membership(alice, room_id, bob.user_id) == "invite"
    assert identity.server.asked == []


async def test_where_addresses_are_hidden_only_the_identity_server_is_asked(
    make_homeserver: MakeHomeserver, authority: Authority, identity: Identity
) -> None:
    homeserver = await make_homeserver(
        federation=federation_settings(authority, enabled=False), threepids=Threepids(hide_known=True)
    )
    alice, bob = await homeserver.user("alice"), await homeserver.user("bob")
    async with homeserver.tenant.database.read() as tx:
        await insert_threepid(tx, bob.user_id, Threepid("email", "bob@example.org", 1, 1))
    room_id = await alice.create_room()
    assert await alice.post(f"rooms/{room_id}/invite", guest(identity)) == (200, {})
    assert await membership(alice, room_id, bob.user_id) is None
    assert len(identity.invites) == 1


async def test_who_is_not_known_yet_is_invited_when_the_address_becomes_theirs(
    homeserver: Homeserver, alice: Client, bob: Client, identity: Identity
) -> None:
    room_id = await alice.create_room(name="Garden", topic="Roses")
    assert await alice.post(f"rooms/{room_id}/invite", guest(identity)) == (200, {})
    (invite,) = identity.invites
    assert invite == {
        "medium": "email",
        "address": "bob@example.org",
        "room_id": room_id,
        "sender": alice.user_id,
        "room_name": "Garden",
        "room_join_rules": "invite",
    }
    pledge = await alice.state(room_id, "m.room.third_party_invite", "invite1")
    key = {"public_key": KEY.verify_key.to_base64(), "key_validity_url": f"https://{identity.name}/valid"}
    assert pledge == {"display_name": "b...@e...", **key, "public_keys": [key]}

    signed = sign_json({"mxid": bob.user_id, "token": "invite1"}, "id.example", KEY)
    bound = {"room_id": room_id, "sender": alice.user_id, "mxid": bob.user_id, "signed": signed}
    told = address(address="bob@example.org", mxid=bob.user_id, invites=[bound])
    await homeserver.nobody().ok("PUT", "/_matrix/federation/v1/3pid/onbind", json=told)
    assert await membership(alice, room_id, bob.user_id) == "invite"
    assert await bob.join(room_id) == room_id


async def test_who_may_not_invite_has_no_mail_sent(alice: Client, bob: Client, identity: Identity) -> None:
    room_id = await alice.create_room(preset="public_chat", power_level_content_override={"invite": 50})
    path = f"rooms/{room_id}/invite"
    assert await errcode(bob.post(path, guest(identity))) == (403, "M_FORBIDDEN")
    await bob.join(room_id)
    assert await errcode(bob.post(path, guest(identity))) == (403, "M_FORBIDDEN")
    assert identity.invites == []
    assert identity.server.asked == []


async def test_a_new_room_with_guests_by_address(alice: Client, bob: Client, identity: Identity) -> None:
    identity.users["bob@example.org"] = bob.user_id
    guests = [guest(identity), guest(identity, address="carol@example.org")]
    room_id = await alice.create_room(invite_3pid=guests, is_direct=True)
    assert (await alice.state(room_id, "m.room.member", bob.user_id))["is_direct"] is True
    assert [invite["address"] for invite in identity.invites] == ["carol@example.org"]


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("hash_details", {"lookup_pepper": "p", "algorithms": ["none"]}),
        ("hash_details", {"lookup_pepper": 1, "algorithms": ["sha256"]}),
        ("store-invite", {"token": "t", "public_keys": [], "display_name": "d"}),
        (
            "store-invite",
            {
                "token": "a b",
                "public_keys": [{"public_key": "k", "key_validity_url": "u"}],
                "display_name": "d",
            },
        ),
        ("store-invite", {"token": "t", "public_keys": ["k"], "display_name": "d"}),
        ("store-invite", {"token": "t", "public_keys": [{"public_key": "k"}], "display_name": "d"}),
    ],
)
async def test_nonsense_about_guests(alice: Client, identity: Identity, path: str, answer: Any) -> None:
    room_id = await alice.create_room()
    for method in ("GET", "POST"):
        identity.server.on(method, f"/_matrix/identity/v2/{path}", lambda _: answer)
    assert await errcode(alice.post(f"rooms/{room_id}/invite", guest(identity))) == (502, "M_UNKNOWN")


@pytest.mark.parametrize("found", ["nobody", 7, "@bob", None])
async def test_nobody_is_whom_the_identity_server_makes_up(
    alice: Client, identity: Identity, found: Any
) -> None:
    identity.users["bob@example.org"] = found
    room_id = await alice.create_room()
    assert await alice.post(f"rooms/{room_id}/invite", guest(identity)) == (200, {})
    assert len(identity.invites) == 1
