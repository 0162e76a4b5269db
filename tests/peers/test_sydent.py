"""A conversation with Sydent: somebody who is not there yet is invited by address, comes, and leaves no trace."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from services.settings import Threepids
from tests.fixtures.certificates import Authority
from tests.fixtures.client import Client
from tests.fixtures.federation import MakeFederated
from tests.fixtures.mail import MailServer, mail_server
from tests.peers.sydent import PYTHON, sydent

ADDRESS, SECRET = "bob@example.org", "monkeys"


class AtSydent:
    """A user who has an account at the identity server too."""

    def __init__(self, user: Client, name: str) -> None:
        self.user, self.name, self.token = user, name, ""

    async def post(self, path: str, body: Any) -> Any:
        """The JSON of the answer."""
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        url = f"https://{self.name}/_matrix/identity/v2/{path}"
        async with self.user.session.post(url, json=body, headers=headers) as response:
            said = await response.json(content_type=None)
            assert response.status == 200, said
            return said

    async def register(self) -> None:
        """Shows who the user is by an OpenID token, which Sydent takes back to the homeserver."""
        path = f"user/{self.user.user_id}/openid/request_token"
        self.token = (await self.post("account/register", await self.user.ok("POST", path, json={})))["token"]

    async def shows_address(self, mails: MailServer) -> str:
        """The session in which the address was shown."""
        body = {"email": ADDRESS, "client_secret": SECRET, "send_attempt": 1}
        sid = (await self.post("validate/email/requestToken", body))["sid"]
        found = re.search(r"token=(\w+)\.", (await mails.next()).message.get_content())
        assert found is not None
        said = {"sid": sid, "client_secret": SECRET, "token": found[1]}
        assert (await self.post("validate/email/submitToken", said))["success"]
        return str(sid)


@pytest.mark.skipif(PYTHON is None, reason="SYDENT_PYTHON names no Python that has Sydent")
async def test_an_address_becomes_a_user(
    make_federated: MakeFederated, authority: Authority, tmp_path: Path
) -> None:
    one = await make_federated(threepids=Threepids())
    alice, bob = await one.user("alice"), await one.user("bob")
    async with mail_server() as mails, sydent(tmp_path, authority, mails.port) as name:
        of_alice, of_bob = AtSydent(alice, name), AtSydent(bob, name)
        await of_alice.register()
        await of_bob.register()
        guest = {"medium": "email", "address": ADDRESS, "id_server": name, "id_access_token": of_alice.token}

        room_id = await alice.create_room(name="Garden")
        await alice.ok("POST", f"rooms/{room_id}/invite", json=guest)
        assert (await mails.next()).recipients == [ADDRESS]

        credentials = {"id_server": name, "id_access_token": of_bob.token, "client_secret": SECRET}
        sid = await of_bob.shows_address(mails)
        await bob.ok("POST", "account/3pid/bind", json=credentials | {"sid": sid})
        await bob.sync_until(lambda reply: room_id in reply.get("rooms", {}).get("invite", {}))
        await bob.join(room_id)

        another = await alice.create_room()
        await alice.ok("POST", f"rooms/{another}/invite", json=guest)
        assert another in (await bob.sync())["rooms"]["invite"]

        withdrawn = await bob.ok("POST", "account/3pid/unbind", json={"medium": "email", "address": ADDRESS})
        assert withdrawn == {"id_server_unbind_result": "success"}
        last = await alice.create_room()
        await alice.ok("POST", f"rooms/{last}/invite", json=guest)
        assert (await mails.next()).recipients == [ADDRESS]
